private import Glibc
package import SiloCore

/// Values by key, in the order of the keys, in memory. They lie in small pieces, so that a copy shares what later changes do not
/// touch.
package struct SortedEntries<Value: Sendable>: Sendable {
    package struct Entry: Sendable {
        package let key: Bytes
        package var value: Value
    }
    /// In key order, none empty.
    fileprivate var pieces: [[Entry]] = []
    /// The first key of each, side by side: most of a search is among them.
    private var firsts: [Bytes] = []
    package private(set) var count = 0
    private static var pieceMax: Int { 64 }

    package init() {}

    package subscript(_ key: Bytes) -> Value? {
        guard let place = place(of: key), place.isThere else { return nil }
        return pieces[place.piece][place.index].value
    }

    /// Changes what `key` has, with one search: nil is nothing, before and after.
    package mutating func change(_ key: Bytes, _ body: (inout Value?) -> Void) {
        let place = place(of: key)
        var value: Value?
        if let place, place.isThere {
            value = pieces[place.piece][place.index].value
            body(&value)
            if let value { pieces[place.piece][place.index].value = value } else { remove(at: place.piece, place.index) }
        } else {
            body(&value)
            if let value { insert(Entry(key: key, value: value), at: place?.piece, place?.index ?? 0) }
        }
    }

    package mutating func put(_ key: Bytes, _ value: Value) { change(key) { $0 = value } }
    package mutating func remove(_ key: Bytes) { change(key) { $0 = nil } }

    private mutating func insert(_ entry: Entry, at piece: Int?, _ index: Int) {
        count += 1
        guard let piece else {
            pieces.append([entry])
            return firsts.append(entry.key)
        }
        pieces[piece].insert(entry, at: index)
        if index == 0 { firsts[piece] = entry.key }
        if pieces[piece].count > Self.pieceMax { split(piece) }
    }

    private mutating func remove(at piece: Int, _ index: Int) {
        count -= 1
        pieces[piece].remove(at: index)
        if let first = pieces[piece].first {
            if index == 0 { firsts[piece] = first.key }
        } else {
            pieces.remove(at: piece)
            firsts.remove(at: piece)
        }
    }

    private mutating func split(_ piece: Int) {
        let half = Self.pieceMax / 2
        let tail = Array(pieces[piece][half...])
        pieces[piece].removeSubrange(half...)
        pieces.insert(tail, at: piece + 1)
        firsts.insert(tail[0].key, at: piece + 1)
    }

    /// Where `key` stands, or would; nil when there are no entries at all.
    private func place(of key: Bytes) -> (piece: Int, index: Int, isThere: Bool)? {
        guard !pieces.isEmpty else { return nil }
        return key.withUnsafeBytes { key in
            let piece = Swift.max(0, firsts.first { Bytes.compare(key, $0) < 0 } - 1)
            return pieces[piece].withUnsafeBufferPointer { entries in
                var low = 0
                var high = entries.count
                while low < high {
                    let middle = (low + high) / 2
                    let difference = Bytes.compare(key, entries[middle].key)
                    if difference == 0 { return (piece, middle, true) }
                    if difference < 0 { high = middle } else { low = middle + 1 }
                }
                return (piece, low, false)
            }
        }
    }

    /// Walks from the first key that is not before `start`.
    package func cursor(from start: Bytes) -> Cursor {
        let place = place(of: start)
        return Cursor(pieces: pieces, piece: place?.piece ?? 0, index: place?.index ?? 0)
    }

    /// Whether there are so many entries from `start` up to `end` that are so.
    /// - Returns: the key of the last of them; nil: there are fewer.
    package func key(ofThe count: Int, from start: Bytes, before end: Bytes, where isSo: (Value) -> Bool) -> Bytes? {
        guard count > 0, count <= self.count, let place = place(of: start) else { return nil }
        var left = count
        var index = place.index
        for piece in pieces[place.piece...] {
            while index < piece.count {
                if isSo(piece[index].value) {
                    left -= 1
                    if left == 0 { return piece[index].key.precedes(end) ? piece[index].key : nil }
                }
                index += 1
            }
            if let last = piece.last, !last.key.precedes(end) { return nil }
            index = 0
        }
        return nil
    }

    /// A place between entries of a copy that does not change.
    package struct Cursor: IteratorProtocol {
        private let pieces: [[Entry]]
        private var piece: Int
        /// The piece it is in, and where.
        private var entries: [Entry] = []
        private var index: Int

        fileprivate init(pieces: [[Entry]], piece: Int, index: Int) {
            self.pieces = pieces
            self.piece = piece
            self.index = index
            if piece < pieces.count { entries = pieces[piece] }
            settle()
        }

        package var current: Entry? { index < entries.count ? entries[index] : nil }

        package mutating func next() -> Entry? {
            guard let entry = current else { return nil }
            advance()
            return entry
        }

        package mutating func advance() {
            index += 1
            settle()
        }

        private mutating func settle() {
            guard index >= entries.count else { return }
            piece += 1
            index = 0
            entries = piece < pieces.count ? pieces[piece] : []
        }
    }
}

extension SortedEntries: Sequence {
    package func makeIterator() -> Cursor { Cursor(pieces: pieces, piece: 0, index: 0) }
    package var underestimatedCount: Int { count }
}

extension Array {
    /// The first place for which `isSo` holds, which then holds for all after it; the end when there is none.
    @inline(__always)
    fileprivate func first(_ isSo: (borrowing Element) -> Bool) -> Int {
        withUnsafeBufferPointer { elements in
            var low = 0
            var high = elements.count
            while low < high {
                let middle = (low + high) / 2
                if isSo(elements[middle]) { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }
}

extension Bytes {
    /// In the order of stores: byte by byte, and what begins another comes first.
    package func precedes(_ other: Bytes) -> Bool {
        withUnsafeBytes { Self.compare($0, other) < 0 }
    }

    @inline(__always)
    fileprivate static func compare(_ left: UnsafeRawBufferPointer, _ right: borrowing Bytes) -> Int {
        right.withUnsafeBytes { right in
            guard let start = left.baseAddress, let other = right.baseAddress else { return left.count - right.count }
            let difference = memcmp(start, other, Swift.min(left.count, right.count))
            return difference != 0 ? Int(difference) : left.count - right.count
        }
    }
}
