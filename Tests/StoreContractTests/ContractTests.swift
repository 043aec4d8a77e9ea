import SiloCore
import SiloStore
import Testing

/// What every store must do, whatever it is made of.
@Suite("The contract of key-value stores", .timeLimit(.minutes(10))) struct ContractTests {
    @Test("a key that was never written has no value", arguments: StoreKind.all)
    func absent(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        #expect(try await store.get([1]) == nil)
        #expect(try await store.scan(from: [1], to: [9], limit: 10) == [])
        try await store.close()
    }

    @Test("a write is seen at once, also before it is durable", arguments: StoreKind.all)
    func writesAreSeen(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([put([1], [10]), put([2], [20])])
        #expect(try await store.get([1]) == [10])
        try await store.write([put([1], [11]), delete([2])])
        #expect(try await store.get([1]) == [11])
        #expect(try await store.get([2]) == nil)
        try await store.close()
    }

    @Test("rows come in the order of their keys' bytes, a key before those that it begins", arguments: StoreKind.all)
    func order(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        let keys: [Bytes] = [[1], [1, 0], [1, 0, 0], [1, 1], [1, 255], [2], [127], [128], [200, 1], [254, 255]]
        for key in keys.reversed() { try await store.write([put(key, key)]) }
        let rows = try await store.scan(from: [1], to: [255], limit: 100)
        #expect(rows.map(\.key) == keys)
        #expect(rows.allSatisfy { $0.key == $0.value })
        try await store.close()
    }

    @Test("a scan has its start, not its end, and no more than its limit", arguments: StoreKind.all)
    func bordersAndLimits(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write((1...20).map { put([$0], [$0]) })
        #expect(try await keys(store, [5], [8], 100) == [5, 6, 7])
        #expect(try await keys(store, [5], [8], 2) == [5, 6])
        #expect(try await keys(store, [5], [8], 0) == [])
        #expect(try await keys(store, [8], [5], 100) == [])
        #expect(try await keys(store, [5], [5], 100) == [])
        #expect(try await keys(store, [4, 200], [6, 0], 100) == [5, 6])
        #expect(try await keys(store, [19], [255, 255], 100) == [19, 20])
        try await store.close()
    }

    @Test(
        "a page has about the bytes that were asked for and one row at least, and pages together are the scan",
        arguments: StoreKind.all)
    func pages(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        // Of 400 kB, half is written before the other, and some of it is changed after that.
        let value = Bytes(repeating: 7, count: 2000)
        try await store.write((1...100).map { put([$0], value) })
        try await store.flush()
        try await store.write((101...200).map { put([$0], value) })
        try await store.write((40...60).map { $0 % 2 == 0 ? delete([$0]) : put([$0], value + [1]) })
        for reader in [store, try await store.snapshot()] as [any StoreReader] {
            let all = try await reader.scan(from: [1], to: [255], limit: 1000)
            #expect(all.count == 189)
            var found: [Row] = []
            var pages = 0
            var from: Bytes? = [1]
            while let start = from {
                let page = try await reader.page(from: start, to: [255], limit: 1000, bytesMax: 100_000)
                #expect(page.rows.reduce(0) { $0 + $1.key.count + $1.value.count } < 100_000 + 2010)
                #expect(!page.rows.isEmpty || !page.hasMore)
                found += page.rows
                pages += 1
                from = page.hasMore ? page.rows.last.map { $0.key + [0] } : nil
            }
            #expect(found == all && (4...6).contains(pages))
            for none in [1, 0, -1] {
                let least = try await reader.page(from: [1], to: [255], limit: 1000, bytesMax: none)
                #expect(!least.rows.isEmpty && least.hasMore)
            }
            let three = try await reader.page(from: [1], to: [255], limit: 3, bytesMax: 100_000)
            #expect(three.rows == Array(all[..<3]) && three.hasMore)
        }
        try await store.close()
    }

    @Test("what was deleted is not scanned, and does not count for the limit", arguments: StoreKind.all)
    func deletedRowsAreSkipped(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write((1...200).map { put([$0], [$0]) })
        try await store.flush()
        try await store.write((1...150).map { delete([$0]) })
        #expect(try await keys(store, [1], [255], 3) == [151, 152, 153])
        try await store.write([put([7], [7]), delete([152])])
        #expect(try await keys(store, [1], [255], 3) == [7, 151, 153])
        try await store.close()
    }

    @Test("a row may be deleted that is not there, and written anew after its deletion", arguments: StoreKind.all)
    func deletesAreHarmless(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([delete([1])])
        try await store.write([put([1], [1])])
        try await store.write([delete([1])])
        try await store.write([put([1], [2])])
        #expect(try await store.get([1]) == [2])
        try await store.close()
        let again = try await place.open()
        #expect(try await again.get([1]) == [2])
        try await again.close()
    }

    @Test("a batch of nothing changes nothing", arguments: StoreKind.all)
    func emptyBatch(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([])
        try await store.flush()
        #expect(try await store.scan(from: [1], to: [255], limit: 1) == [])
        try await store.close()
    }

    @Test("values may be empty or large, keys long", arguments: StoreKind.all)
    func sizes(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        var store = try await place.open()
        let large = Bytes((0..<9_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) })
        let long = Bytes(repeating: 7, count: 60_000)
        try await store.write([put([1], []), put([2], large), put(long, [3])])
        for _ in 0..<2 {
            #expect(try await store.get([1]) == [])
            #expect(try await store.get([2]) == large)
            #expect(try await store.get(long) == [3])
            #expect(try await store.scan(from: [1], to: [9], limit: 9).map(\.value.count) == [0, large.count, 1])
            try await store.flush()
            await place.crash(store)
            store = try await place.open()
        }
        try await store.close()
    }

    @Test("a snapshot does not change, whatever is written, flushed or deleted later", arguments: StoreKind.all)
    func snapshots(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write((1...9).map { put([$0], [$0]) })
        let before = try await store.snapshot()
        try await store.write([put([1], [100]), delete([2]), put([10], [10])])
        let between = try await store.snapshot()
        try await store.flush()
        try await store.write((1...9).map { delete([$0]) })
        #expect(try await before.scan(from: [1], to: [255], limit: 100).map(\.value) == (1...9).map { [$0] })
        #expect(try await before.get([1]) == [1])
        #expect(try await before.get([10]) == nil)
        #expect(try await keys(between, [1], [255], 100) == [1, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(try await between.get([1]) == [100])
        #expect(try await keys(store, [1], [255], 100) == [10])
        try await store.close()
    }

    @Test("readers beside a writer see each batch whole or not at all", arguments: StoreKind.all)
    func batchesAreAtomicToReaders(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write((1...40).map { put([$0], [0]) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for round: UInt8 in 1...60 {
                    // What moves, moves in one batch: forty rows at any time.
                    let moved = round % 2 == 1
                    try await store.write(
                        (1...40).flatMap { [put([$0, 1], [round]), delete([$0])] }.map { write in
                            moved ? write : Write(key: write.key, value: write.value == nil ? [round] : nil)
                        })
                    if round % 16 == 0 { try await store.flush() }
                }
            }
            for reader in 0..<3 {
                group.addTask {
                    for _ in 0..<20 {
                        let from: any StoreReader = if reader == 0 { try await store.snapshot() } else { store }
                        let rows = try await from.scan(from: [1], to: [255], limit: 1000)
                        #expect(rows.count == 40 && Set(rows.map(\.value)).count == 1)
                        _ = try await store.get([3])
                    }
                }
            }
            try await group.waitForAll()
        }
        try await store.close()
    }

    @Test("what was flushed outlives the process, deletions too", arguments: StoreKind.all)
    func flushedIsDurable(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        var store = try await place.open()
        for round: UInt8 in 1...5 {
            try await store.write([put([round], [round]), put([100], [round])])
            if round > 1 { try await store.write([delete([round - 1])]) }
            try await store.flush()
            await place.crash(store)
            store = try await place.open()
            #expect(
                try await store.scan(from: [1], to: [255], limit: 9) == [
                    Row(key: [round], value: [round]), Row(key: [100], value: [round]),
                ])
        }
        try await store.close()
    }

    @Test(
        "what was not flushed may be gone after a crash, but only from the end, and whole batches only", arguments: StoreKind.all)
    func unflushedIsAPrefix(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([put([1], [1]), put([101], [1])])
        try await store.flush()
        for round: UInt8 in 2...6 { try await store.write([put([round], [round]), put([100 + round], [round])]) }
        await place.crash(store)
        let again = try await place.open()
        let low = try await keys(again, [1], [100], 100)
        let high = try await keys(again, [100], [255], 100)
        #expect(low == Array(Array(1...6).prefix(low.count)) && !low.isEmpty)
        #expect(high == low.map { $0 + 100 })
        try await again.close()
    }

    @Test("closing makes everything durable, and may be repeated", arguments: StoreKind.all)
    func closing(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([put([1], [1])])
        try await store.close()
        try await store.close()
        let again = try await place.open()
        #expect(try await again.get([1]) == [1])
        try await again.close()
        try await again.close()
    }

    @Test("after it was closed a store says so, whatever is asked", arguments: StoreKind.all)
    func closedStoresRefuse(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        try await store.write([put([1], [1])])
        try await store.close()
        await expectUnavailable { _ = try await store.get([1]) }
        await expectUnavailable { _ = try await store.scan(from: [1], to: [2], limit: 1) }
        await expectUnavailable { try await store.write([put([2], [2])]) }
        await expectUnavailable { try await store.flush() }
        await expectUnavailable { _ = try await store.snapshot() }
    }

    @Test(
        "a row is there until its time; from then on it may be gone, but what it replaced does not come back",
        arguments: StoreKind.all)
    func expiry(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        var store = try await place.open()
        let now = SystemClock().now
        let (past, future) = (now + -1000, now + 3_600_000)
        try await store.write([put([1], [1]), put([2], [2]), put([3], [3]), put([4], [4])])
        try await store.flush()
        try await store.write([
            Write(key: [1], value: [10], expiresAt: past), Write(key: [2], value: [20], expiresAt: future),
            Write(key: [3], value: [30], expiresAt: past), Write(key: [5], value: [50], expiresAt: past),
        ])
        // One that is written again lives on.
        try await store.write([put([3], [31])])
        for _ in 0..<3 {
            let rows = try await store.scan(from: [1], to: [255], limit: 9).filter { $0.value != [10] && $0.value != [50] }
            #expect(rows.map(\.value) == [[20], [31], [4]])
            #expect([nil, [10]].contains(try await store.get([1])))
            #expect(try await store.get([2]) == [20])
            try await store.flush()
            await place.crash(store)
            store = try await place.open()
        }
        try await store.close()
    }

    @Test("many rows are read page by page as they are", arguments: StoreKind.all)
    func manyRows(kind: StoreKind) async throws {
        let place = try kind.place()
        defer { withExtendedLifetime(place) {} }
        let store = try await place.open()
        let count = 5000
        func key(_ number: Int) -> Bytes { [1, UInt8(number >> 8), UInt8(number & 255)] }
        // In an order that is not theirs.
        for start in stride(from: 0, to: count, by: 100) {
            try await store.write((start..<start + 100).map { put(key($0 * 7 % count), [UInt8($0 & 255)]) })
        }
        try await store.flush()
        try await store.write((0..<count).filter { $0 % 3 == 0 }.map { delete(key($0)) })
        var found: [Bytes] = []
        try await store.scanAll(from: [1], to: [2], page: 64) { found.append($0.key) }
        #expect(found == (0..<count).filter { $0 % 3 != 0 }.map(key))
        try await store.close()
    }
}

func put(_ key: Bytes, _ value: Bytes) -> Write { Write(key: key, value: value) }
func delete(_ key: Bytes) -> Write { Write(key: key, value: nil) }

/// The first bytes of the keys of a scan.
private func keys(_ store: any StoreReader, _ start: Bytes, _ end: Bytes, _ limit: Int) async throws -> [UInt8] {
    try await store.scan(from: start, to: end, limit: limit).compactMap(\.key.first)
}

private func expectUnavailable(
    _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async {
    do {
        try await body()
        Issue.record("it did not throw", sourceLocation: sourceLocation)
    } catch {
        guard case .unavailable = error as? StoreError else {
            Issue.record("it threw \(error)", sourceLocation: sourceLocation)
            return
        }
    }
}
