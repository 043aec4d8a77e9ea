import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// Rows that are read before they are asked for, while batches go on.
@Suite(.timeLimit(.minutes(10))) struct ScanAheadTests {
    private let memory = MemoryStore(clock: ManualClock())
    private let counting: CountingStore
    private let store: FaultyStore
    private let overlay: Overlay
    private let budget = MemoryBudget(1 << 20)

    init() {
        counting = CountingStore(memory)
        store = FaultyStore(counting)
        overlay = Overlay(over: store)
    }

    private func fill(_ keys: some Sequence<UInt8>) async throws {
        try await memory.write(keys.map { Write(key: [$0], value: [$0]) })
    }

    private func beginScan(from start: UInt8, to end: UInt8, limit: Int) {
        overlay.beginScan(from: [start], to: [end], limit: limit, budget: budget)
    }

    private func write(_ batch: [Write]) async throws {
        overlay.note(written: batch)
        try await store.write(batch)
    }

    private func scan(from start: UInt8, to end: UInt8, limit: Int) async throws -> (keys: [UInt8], next: Bytes?) {
        let (rows, next) = try await overlay.scan(from: [start], to: [end], limit: limit)
        return (rows.map { $0.key[0] }, next)
    }

    /// When a read ahead looks: before the batches that come after it began, or after them.
    enum Look: CaseIterable { case before, after }

    /// Begins a read, and lets it look before or after `body`.
    private func reading(
        from start: UInt8, to end: UInt8, limit: Int, _ look: Look, _ body: () async throws -> Void
    ) async throws {
        store.set { $0.holdReads = look == .after }
        let scans = counting.scans
        beginScan(from: start, to: end, limit: limit)
        if look == .after {
            try await store.changes.wait { store.heldCount > 0 }
        } else {
            try await counting.changes.wait { counting.scans > scans }
        }
        try await body()
        store.set { $0.holdReads = false }
    }

    /// Begins one, which has looked on return.
    private func read(from start: UInt8, to end: UInt8, limit: Int) async throws {
        try await reading(from: start, to: end, limit: limit, .before) {}
    }

    @Test("what was written since the read began is seen, whenever the store looked", arguments: Look.allCases)
    func written(look: Look) async throws {
        try await fill([10, 20, 30, 40])
        try await reading(from: 10, to: 90, limit: 10, look) {
            try await write([Write(key: [20], value: nil), Write(key: [30], value: [31]), Write(key: [95], value: [95])])
            try await write([Write(key: [25], value: [25]), Write(key: [50], value: [50])])
            try await write([Write(key: [25], value: nil), Write(key: [60], value: [60])])
        }
        let (rows, next) = try await overlay.scan(from: [10], to: [90], limit: 10)
        #expect(rows.map(\.key) == [[10], [30], [40], [50], [60]])
        #expect(rows.map(\.value) == [[10], [31], [40], [50], [60]])
        #expect(next == nil)
        #expect(budget.held == 0, "what is taken does not count any more")
    }

    @Test("what was read ahead is served without a read, once; what lies behind it is read when asked for")
    func served() async throws {
        try await fill(1...9)
        try await read(from: 2, to: 90, limit: 4)
        store.set { $0.failReads = true }
        let first = try await scan(from: 3, to: 90, limit: 10)
        #expect(first.keys == [3, 4, 5])
        #expect(first.next == [5, 0])
        #expect(overlay.takeFoundAhead() && !overlay.takeFoundAhead())
        await #expect(throws: StoreError.self) { try await scan(from: 3, to: 90, limit: 10) }
        store.set { $0.failReads = false }
        let second = try await overlay.scan(from: first.next ?? [], to: [90], limit: 10)
        #expect(second.rows.map(\.key) == [[6], [7], [8], [9]])
        #expect(!overlay.takeFoundAhead())
    }

    @Test("after one that failed the store is asked")
    func failed() async throws {
        try await fill([10, 20])
        store.set { $0.failReads = true }
        let ahead = ScanAhead(of: store, from: [10], to: [90], limit: 4, budget: budget, on: nil)
        await ahead.ended()
        #expect(try await ahead.rows(from: [10], to: [90], limit: 4) == nil)
        #expect(budget.held == 0)
    }

    @Test("one in which more was written than it reads is given up")
    func outdated() async throws {
        try await fill([10, 20])
        try await read(from: 10, to: 90, limit: 3)
        try await write([11, 12, 13, 14].map { Write(key: [$0], value: [$0]) })
        #expect(try await scan(from: 10, to: 90, limit: 9).keys == [10, 11, 12, 13, 14, 20])
        #expect(!overlay.takeFoundAhead())
        #expect(budget.held == 0)
    }

    @Test("what is written behind the last row that it found does not count")
    func behind() async throws {
        try await fill(10...20)
        try await read(from: 10, to: 90, limit: 3)
        for key in UInt8(30)..<60 { try await write([Write(key: [key], value: [key])]) }
        #expect(try await scan(from: 10, to: 90, limit: 9).keys == [10, 11, 12])
        #expect(overlay.takeFoundAhead())
    }

    @Test("no more than a few are begun, and those that nobody wants make room")
    func few() async throws {
        try await fill(0..<100)
        for start in UInt8(1)...8 { try await read(from: 10 * start, to: 10 * start + 5, limit: 2) }
        beginScan(from: 90, to: 95, limit: 2)
        _ = try await scan(from: 90, to: 95, limit: 2)
        #expect(!overlay.takeFoundAhead(), "it was not begun")
        for _ in 0..<300 { _ = try await scan(from: 0, to: 5, limit: 1) }
        try await read(from: 90, to: 95, limit: 2)
        _ = try await scan(from: 90, to: 95, limit: 2)
        #expect(overlay.takeFoundAhead())
        _ = try await scan(from: 10, to: 15, limit: 2)
        #expect(!overlay.takeFoundAhead(), "it was let go")
        #expect(budget.held == 0)
    }

    @Test("page for page the same rows as without it, whatever is written meanwhile", arguments: 0..<200)
    func same(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        func below(_ count: UInt64) -> UInt8 { UInt8(random.next() % count) }
        try await fill(Set((0..<random.next() % 60).map { _ in below(100) }))
        func batch() -> [Write] {
            let keys = Set((0..<1 + random.next() % 6).map { _ in below(100) })
            return keys.map { Write(key: [$0], value: below(2) == 0 ? nil : [below(250)]) }
        }
        let (start, end) = (below(50), 50 + below(50))
        try await reading(from: start, to: end, limit: 2 + Int(below(40)), below(2) == 0 ? .before : .after) {
            for _ in 0..<below(5) { try await write(batch()) }
        }
        for _ in 0..<below(3) { try await write(batch()) }
        let unwritten = below(2) == 0 ? batch() : []
        for write in unwritten { write.value.map { overlay.put(write.key, $0) } ?? overlay.delete(write.key) }
        var from: Bytes? = [start + below(UInt64(end - start))]
        let stop = start + below(100 - UInt64(start))
        var expected: [Bytes: Bytes] = [:]
        for row in try await memory.scan(from: from ?? [], to: [stop], limit: 1000) { expected[row.key] = row.value }
        for write in unwritten where !write.key.precedes(from ?? []) && write.key.precedes([stop]) {
            expected[write.key] = write.value
        }
        let page = 1 + Int(below(30))
        var found: [Row] = []
        while let key = from {
            let (rows, next) = try await overlay.scan(from: key, to: [stop], limit: page)
            #expect(rows.count <= page + unwritten.count)
            found += rows
            from = next
        }
        #expect(found == expected.map { Row(key: $0, value: $1) }.sorted { $0.key.precedes($1.key) })
    }
}
