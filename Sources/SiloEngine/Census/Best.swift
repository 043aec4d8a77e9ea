/// The first of many in an order, of which only so many are kept while they come by.
struct Best<Entry: Sendable, Name: Comparable & Sendable>: Sendable {
    private struct Ranked: Comparable, Sendable {
        let value: Int64
        let name: Name
        let entry: Entry
        /// The last comes first, to be thrown out.
        static func < (left: Ranked, right: Ranked) -> Bool { Self.comes(right, before: left) }
        static func == (left: Ranked, right: Ranked) -> Bool { left.value == right.value && left.name == right.name }
        static func comes(_ left: Ranked, before right: Ranked) -> Bool { comes(left.value, left.name, before: right) }
        static func comes(_ value: Int64, _ name: Name, before other: Ranked) -> Bool {
            value != other.value ? value > other.value : name < other.name
        }
    }
    private let countMax: Int
    private let after: (value: Int64, name: Name)?
    private var kept = Heap<Ranked>()
    /// How many came by, and how many of them stand behind `after`.
    private(set) var seen = 0
    private(set) var following = 0

    /// - Parameter after: only those that come after it.
    init(_ countMax: Int, after: (value: Int64, name: Name)?) {
        self.countMax = countMax
        self.after = after
    }

    /// - Parameter value: the largest comes first; of equal ones the name decides.
    mutating func see(_ value: Int64, _ name: @autoclosure () -> Name, _ entry: @autoclosure () -> Entry) {
        seen += 1
        if let after, value > after.value { return }
        if kept.count == countMax, let last = kept.first, value < last.value, after == nil || value < (after?.value ?? 0) {
            following += 1
            return
        }
        let name = name()
        if let after, value == after.value, name <= after.name { return }
        following += 1
        // Very many may have the same: only what is kept is made.
        if kept.count == countMax, let last = kept.first, !Ranked.comes(value, name, before: last) { return }
        kept.insert(Ranked(value: value, name: name, entry: entry()))
        if kept.count > countMax { kept.popFirst() }
    }

    var entries: [Entry] { kept.all.sorted { Ranked.comes($0, before: $1) }.map(\.entry) }
}

/// Where a page of a census ended: what stood last on it.
package struct CensusPlace: Sendable, Equatable {
    package let value: Int64
    package let name: String

    package init(value: Int64, name: String) {
        self.value = value
        self.name = name
    }
}

/// One page of a census.
package struct CensusPage<Entry: Sendable>: Sendable {
    package let entries: [Entry]
    /// All that were asked for, those of other pages included.
    package let matching: Int
    /// Nothing follows.
    package let isLast: Bool

    package init(entries: [Entry], matching: Int, isLast: Bool) {
        self.entries = entries
        self.matching = matching
        self.isLast = isLast
    }

    init<Name>(_ best: Best<Entry, Name>) {
        entries = best.entries
        matching = best.seen
        isLast = best.following <= entries.count
    }
}
