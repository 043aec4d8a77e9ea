private import Glibc
package import SiloCore

/// Rows in key order, in memory. They lie in small pieces, so that a copy shares what later changes do not touch.
package struct SortedRows: Sendable {
    private struct Entry: Sendable {
        let row: Row
        let expiresAt: Timestamp

        var key: Bytes { row.key }
    }
    /// In key order, none empty.
    private var pieces: [[Entry]] = []
    private static let pieceMax = 64

    package init() {}

    package func get(_ key: Bytes, at now: Timestamp) -> Bytes? {
        guard let place = place(of: key), place.isThere else { return nil }
        let entry = pieces[place.piece][place.index]
        return entry.expiresAt > now ? entry.row.value : nil
    }

    /// The first `limit` rows of `[start, end)` that have not expired.
    package func scan(from start: Bytes, to end: Bytes, limit: Int, at now: Timestamp) -> [Row] {
        var found: [Row] = []
        guard let first = place(of: start) else { return found }
        var index = first.index
        for piece in pieces[first.piece...] {
            for entry in piece[index...] {
                guard found.count < limit, Self.precedes(entry.key, end) else { return found }
                if entry.expiresAt > now { found.append(entry.row) }
            }
            index = 0
        }
        return found
    }

    /// Every row that has not expired.
    package func all(at now: Timestamp) -> [Row] {
        pieces.flatMap { piece in piece.filter { $0.expiresAt > now }.map(\.row) }
    }

    package mutating func apply(_ batch: [Write]) {
        for write in batch {
            if let value = write.value {
                put(Entry(row: Row(key: write.key, value: value), expiresAt: write.expiresAt ?? .distantFuture))
            } else if let place = place(of: write.key), place.isThere {
                pieces[place.piece].remove(at: place.index)
                if pieces[place.piece].isEmpty { pieces.remove(at: place.piece) }
            }
        }
    }

    private mutating func put(_ entry: Entry) {
        guard let place = place(of: entry.key) else { return pieces.append([entry]) }
        guard !place.isThere else { return pieces[place.piece][place.index] = entry }
        pieces[place.piece].insert(entry, at: place.index)
        guard pieces[place.piece].count > Self.pieceMax else { return }
        let half = Self.pieceMax / 2
        let tail = Array(pieces[place.piece][half...])
        pieces[place.piece].removeSubrange(half...)
        pieces.insert(tail, at: place.piece + 1)
    }

    /// Where `key` stands, or would; nil when there are no rows at all.
    private func place(of key: Bytes) -> (piece: Int, index: Int, isThere: Bool)? {
        guard !pieces.isEmpty else { return nil }
        let piece = max(0, Self.first(0, pieces.count) { Self.precedes(key, pieces[$0][0].key) } - 1)
        let entries = pieces[piece]
        let index = Self.first(0, entries.count) { !Self.precedes(entries[$0].key, key) }
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

    private static func precedes(_ left: Bytes, _ right: Bytes) -> Bool {
        left.withUnsafeBytes { left in
            right.withUnsafeBytes { right in
                guard let start = left.baseAddress, let other = right.baseAddress else { return left.count < right.count }
                let difference = memcmp(start, other, min(left.count, right.count))
                return difference != 0 ? difference < 0 : left.count < right.count
            }
        }
    }
}
