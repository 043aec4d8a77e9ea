import SiloCore
import SiloStore
import SiloTesting
import Testing

@Suite("Rows over a store", .timeLimit(.minutes(10))) struct LoggedRowsTests {
    private func new(_ key: UInt8) -> Write { Write(key: [key], value: [key], isNew: true) }
    private func delete(_ key: UInt8) -> Write { Write(key: [key], value: nil) }

    @Test("a new row that is deleted leaves nothing, any other a deletion")
    func newRows() {
        var overlay = LoggedRows()
        overlay.apply([new(1), Write(key: [2], value: [2]), new(3)], above: nil)
        overlay.apply([delete(1), delete(2)], above: nil)
        #expect(overlay.changes.map(\.key) == [[2], [3]])
        // Deleted once, a row is not new again: its deletion must get below.
        overlay.apply([new(2)], above: nil)
        overlay.apply([delete(2), Write(key: [3], value: [33])], above: nil)
        overlay.apply([delete(3)], above: nil)
        #expect(overlay.changes.map(\.key) == [[2]])
        overlay.apply([new(3), delete(3)], above: nil)
        #expect(overlay.changes.count == 1)
    }

    @Test("what an older overlay knows is not new")
    func olderOverlays() {
        var older = LoggedRows()
        older.apply([Write(key: [1], value: [1]), delete(2)], above: nil)
        var overlay = LoggedRows()
        overlay.apply([new(1), new(2), new(3)], above: older)
        overlay.apply([delete(1), delete(2), delete(3)], above: older)
        #expect(overlay.changes.map(\.key) == [[1], [2]])
    }

    @Test("bytes are counted to the end")
    func bytes() {
        var overlay = LoggedRows()
        let random = SeededRandom(seed: 3)
        for _ in 0..<500 {
            let key = UInt8(random.below(20))
            let value = Bytes(repeating: 0, count: random.below(50))
            overlay.apply(
                [random.chance(60) ? Write(key: [key], value: value, isNew: random.chance(20)) : delete(key)], above: nil)
        }
        var again = LoggedRows()
        for entry in overlay.changes { again.apply([overlay.write(entry)], above: nil) }
        #expect(overlay.bytes == again.bytes && overlay.bytes > 0)
    }

    @Test("a scan is that of one store with everything in it", arguments: 1...60 as ClosedRange<UInt64>)
    func scans(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        let below = MemoryStore()
        var model: [Bytes: Bytes] = [:]
        var layers = [LoggedRows(), LoggedRows()]
        // Of every other seed there is but one overlay, as between checkpoints.
        let isFrozen = seed % 2 == 0
        func batch() -> [Write] {
            (0..<random.below(80)).map { _ in
                Write(key: [1, UInt8(random.below(100))], value: random.chance(50) ? [UInt8(random.below(256))] : nil)
            }
        }
        for layer in 0..<3 {
            let writes = batch()
            let place = isFrozen ? layer - 1 : 1
            for write in writes {
                model[write.key] = write.value
                if layer == 0 { try await below.write([write]) } else { layers[place].apply([write], above: nil) }
            }
        }
        let view = LoggedRowsView(active: layers[1], frozen: isFrozen ? layers[0] : nil)
        let sorted = model.sorted { $0.key.precedes($1.key) }.map { Row(key: $0.key, value: $0.value) }
        for _ in 0..<30 {
            let start: Bytes = [1, UInt8(random.below(100))]
            let end: Bytes = [1, UInt8(random.below(110))]
            let limit = random.below(40)
            let rows = try await LayeredScan(view, over: below, at: Timestamp(0)).rows(from: start, to: end, limit: limit)
            let expected = sorted.filter { !$0.key.precedes(start) && $0.key.precedes(end) }.prefix(limit)
            #expect(rows == Array(expected))
        }
        // In pages of few rows or bytes: every row once, and the end is known.
        for _ in 0..<10 {
            let (limit, bytesMax) = (1 + random.below(20), 1 + random.below(30))
            var (found, start, pages): ([Row], Bytes, Int) = ([], [1], 0)
            while true {
                let page = try await LayeredScan(view, over: below, at: Timestamp(0))
                    .page(from: start, to: [2], limit: limit, bytesMax: bytesMax)
                found += page.rows
                pages += 1
                #expect(page.rows.count <= limit)
                // All but the last row of a page are below the bound.
                #expect(page.rows.dropLast().reduce(0) { $0 + $1.key.count + $1.value.count } < bytesMax)
                guard page.hasMore, let last = page.rows.last else { break }
                start = last.key + [0]
            }
            #expect(found == sorted)
            #expect(pages <= sorted.count + 1)
        }
    }
}

extension LoggedRows {
    fileprivate func write(_ entry: SortedEntries<Change>.Entry) -> Write {
        Write(
            key: entry.key, value: entry.value.value,
            expiresAt: entry.value.expiresAt == .distantFuture ? nil : entry.value.expiresAt)
    }
}
