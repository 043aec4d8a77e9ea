private import Glibc
package import SiloCore

/// Values by key, in the order of the keys, in memory. They lie in small pieces, so that a copy shares what later changes do not touch.
package struct SortedEntries<Value: Sendable>: Sendable {
    package struct Entry: Sendable {
        package let key: Bytes
        package var value: Value
    }
    /// In key order, none empty.
    fileprivate var pieces: [[Entry]] = []
    package private(set) var count = 0
    private static var pieceMax: Int { 64 }

    package init() {}

    package subscript(_ key: Bytes) -> Value? {
        guard let place = place(of: key), place.isThere else { return nil }
        return pieces[place.piece][place.index].value
    }

    /// - Returns: what `key` had before.
    @discardableResult
    package mutating func put(_ key: Bytes, _ value: Value) -> Value? {
        guard let place = place(of: key) else {
            count += 1
            pieces.append([Entry(key: key, value: value)])
            return nil
        }
        if place.isThere {
            defer { pieces[place.piece][place.index].value = value }
            return pieces[place.piece][place.index].value
        }
        count += 1
        pieces[place.piece].insert(Entry(key: key, value: value), at: place.index)
        if pieces[place.piece].count > Self.pieceMax { split(place.piece) }
        return nil
    }

    /// - Returns: what `key` had; nil when it was not there.
    @discardableResult
    package mutating func remove(_ key: Bytes) -> Value? {
        guard let place = place(of: key), place.isThere else { return nil }
        count -= 1
        let entry = pieces[place.piece].remove(at: place.index)
        if pieces[place.piece].isEmpty { pieces.remove(at: place.piece) }
        return entry.value
    }

    private mutating func split(_ piece: Int) {
        let half = Self.pieceMax / 2
        let tail = Array(pieces[piece][half...])
        pieces[piece].removeSubrange(half...)
        pieces.insert(tail, at: piece + 1)
    }

    /// Where `key` stands, or would; nil when there are no entries at all.
    private func place(of key: Bytes) -> (piece: Int, index: Int, isThere: Bool)? {
        guard !pieces.isEmpty else { return nil }
        let piece = Swift.max(0, Self.first(0, pieces.count) { key.precedes(pieces[$0][0].key) } - 1)
        let entries = pieces[piece]
        let index = Self.first(0, entries.count) { !entries[$0].key.precedes(key) }
        return (piece, index, index < entries.count && entries[index].key == key)
    }

    /// The first number for which `isSo`, which then holds for all after it; `end` when there is none.
    private static func first(_ start: Int, _ end: Int, _ isSo: (Int) -> Bool) -> Int {
        var low = start
        var high = end
        while low < high {
            let middle = (low + high) / 2
            if isSo(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Walks from the first key that is not before `start`.
    package func cursor(from start: Bytes) -> Cursor {
        let place = place(of: start)
        return Cursor(pieces: pieces, piece: place?.piece ?? 0, index: place?.index ?? 0)
    }

    /// A place between entries of a copy that does not change.
    package struct Cursor: IteratorProtocol {
        private let pieces: [[Entry]]
        private var piece: Int
        private var index: Int

        fileprivate init(pieces: [[Entry]], piece: Int, index: Int) {
            self.pieces = pieces
            self.piece = piece
            self.index = index
            settle()
        }

        package var current: Entry? { piece < pieces.count ? pieces[piece][index] : nil }

        package mutating func next() -> Entry? {
            guard let entry = current else { return nil }
            index += 1
            settle()
            return entry
        }

        private mutating func settle() {
            guard piece < pieces.count, index >= pieces[piece].count else { return }
            piece += 1
            index = 0
        }
    }
}

extension SortedEntries: Sequence {
    package func makeIterator() -> Cursor { Cursor(pieces: pieces, piece: 0, index: 0) }
    package var underestimatedCount: Int { count }
}

extension Bytes {
    /// In the order of stores: byte by byte, and what begins another comes first.
    package func precedes(_ other: Bytes) -> Bool {
        withUnsafeBytes { left in
            other.withUnsafeBytes { right in
                guard let start = left.baseAddress, let other = right.baseAddress else { return left.count < right.count }
                let difference = memcmp(start, other, Swift.min(left.count, right.count))
                return difference != 0 ? difference < 0 : left.count < right.count
            }
        }
    }
}
