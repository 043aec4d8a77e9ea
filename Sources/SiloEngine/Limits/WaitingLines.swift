import SiloCore
import SiloStore

/// The lines that wait at one limit, by how many slots their jobs allow it, each group in order of its heads' ranks.
///
/// Entries are not taken out when a line leaves or its head changes: they are found to be stale when they come up.
struct WaitingLines {
    private struct Entry: Comparable {
        let head: Position
        let line: Line
        let ticket: Int

        static func < (left: Entry, right: Entry) -> Bool {
            left.head < right.head || !(right.head < left.head) && left.line.id.line.hash < right.line.id.line.hash
        }
        static func == (left: Entry, right: Entry) -> Bool { left.line === right.line && left.ticket == right.ticket }

        var isStale: Bool { ticket != line.ticket }
    }
    /// By the maximum that the jobs bring; nil is the floating limit's own.
    private var groups: [UInt32?: Heap<Entry>] = [:]
    private(set) var count = 0
    /// Jobs of all lines.
    private(set) var waiting: UInt64 = 0

    var isEmpty: Bool { count == 0 }

    /// The line waits here from now on.
    mutating func add(_ line: Line, max: UInt32?, at limit: Limit) {
        line.blockedAt = limit
        line.blockedMax = max
        count += 1
        waiting += line.waiting
        enter(line)
    }

    /// The line waits here no more.
    mutating func remove(_ line: Line) {
        line.blockedAt = nil
        line.ticket += 1
        count -= 1
        waiting -= min(waiting, line.waiting)
        if count == 0 { groups = [:] }
    }

    /// Jobs came to one of the lines, or left it.
    mutating func changed(from before: UInt64, to after: UInt64) { waiting = waiting + after - min(waiting + after, before) }

    /// The line's head got a lower rank.
    mutating func enter(_ line: Line) {
        line.ticket += 1
        let max = line.blockedMax
        groups[max, default: Heap()].insert(Entry(head: line.head, line: line, ticket: line.ticket))
        if let size = groups[max]?.count, size > 64, size > 4 * count { groups[max]?.filter { !$0.isStale } }
    }

    /// The line whose head has the lowest rank, of those whose jobs bring a maximum that `hasRoom`.
    mutating func first(of limit: Limit, hasRoom: (UInt32?) -> Bool) -> Line? {
        var best: Entry?
        for max in groups.keys where hasRoom(max) {
            if let entry = first(max), best.map({ entry < $0 }) ?? true { best = entry }
        }
        return best?.line
    }

    private mutating func first(_ max: UInt32?) -> Entry? {
        while let entry = groups[max]?.first {
            if !entry.isStale, entry.head == entry.line.head { return entry }
            groups[max]?.popFirst()
            // Its head was taken or cancelled: the next one's rank counts.
            if !entry.isStale { enter(entry.line) }
        }
        groups[max] = nil
        return nil
    }

    /// Lines of any rank: at most `countMax`.
    func some(_ countMax: Int) -> [Line] {
        var found: [Line] = []
        for (_, heap) in groups.sorted(by: { $0.key ?? 0 < $1.key ?? 0 }) {
            for entry in heap.all where !entry.isStale {
                guard found.count < countMax else { return found }
                found.append(entry.line)
            }
        }
        return found
    }

    /// Those with the lowest heads, in order: no line that is left out has a lower one than the last. At most `countMax`, and
    /// fewer where very many lines have left of late.
    func lowest(_ countMax: Int) -> [Line] {
        var found = Heap<HighestFirst>()
        var visitsLeft = 4 * countMax
        var unseen: Position?
        let heaps = groups.values.filter { $0.first != nil }.sorted { ($0.first?.head ?? .last) < ($1.first?.head ?? .last) }
        for heap in heaps {
            heap.forEachInOrder { entry in
                // A line's head is not lower than that of its entry.
                if found.count == countMax, let highest = found.first, !(entry.head < highest.line.head) { return false }
                guard visitsLeft > 0 else {
                    unseen = min(unseen ?? entry.head, entry.head)
                    return false
                }
                visitsLeft -= 1
                guard !entry.isStale else { return true }
                found.insert(HighestFirst(line: entry.line))
                if found.count > countMax { found.popFirst() }
                return true
            }
        }
        return found.all.map(\.line).filter { $0.head < unseen ?? .last }.sorted { $0.head < $1.head }
    }

    private struct HighestFirst: Comparable {
        let line: Line
        static func < (left: HighestFirst, right: HighestFirst) -> Bool { right.line.head < left.line.head }
        static func == (left: HighestFirst, right: HighestFirst) -> Bool { left.line === right.line }
    }

    /// Every line, in no order.
    var all: [Line] { some(.max) }
}

extension Position {
    /// No job stands behind it.
    fileprivate static let last = Position(from: .max)
}
