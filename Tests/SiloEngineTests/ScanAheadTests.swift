import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// Rows that are read before they are asked for, while batches go on.
@Suite(.timeLimit(.minutes(10))) struct ScanAheadTests {
    private let memory = MemoryStore(clock: ManualClock())
    private let store: FaultyStore
    private let overlay: Overlay
    private let budget = MemoryBudget(1 << 20)

    init() {
        store = FaultyStore(memory)
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
        beginScan(from: start, to: end, limit: limit)
        if look == .after {
            try await store.changes.wait { store.heldCount > 0 }
        } else {
            while budget.held == 0 { await Task.yield() }
        }
        try await body()
        store.set { $0.holdReads = false }
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

    @Test("what was read ahead is served without a read; what lies behind it is read when asked for")
    func served() async throws {
        try await fill(1...9)
        beginScan(from: 2, to: 90, limit: 4)
        while budget.held == 0 { await Task.yield() }
        store.set { $0.failReads = true }
        #expect(overlay.isScanned(from: [3]))
        let first = try await scan(from: 3, to: 90, limit: 10)
        #expect(first.keys == [3, 4, 5])
        #expect(first.next == [5, 0])
        #expect(!overlay.isScanned(from: [3]), "it is taken once")
        store.set { $0.failReads = false }
        let second = try await overlay.scan(from: first.next ?? [], to: [90], limit: 10)
        #expect(second.rows.map(\.key) == [[6], [7], [8], [9]])
    }

    @Test("a read ahead that failed costs nothing but the read")
    func failed() async throws {
        try await fill([10, 20])
        store.set { $0.holdReads = true }
        beginScan(from: 10, to: 90, limit: 4)
        try await store.changes.wait { store.heldCount > 0 }
        store.set { ($0.failReads, $0.holdReads) = (true, false) }
        await #expect(throws: StoreError.self) { try await scan(from: 10, to: 90, limit: 4) }
        store.set { $0.failReads = false }
        #expect(try await scan(from: 10, to: 90, limit: 4).keys == [10, 20])
    }

    @Test("one in which more was written than it reads is given up, and so is the oldest of too many")
    func outdated() async throws {
        try await fill([10, 20])
        beginScan(from: 10, to: 90, limit: 2)
        try await write([11, 12, 13].map { Write(key: [$0], value: [$0]) })
        #expect(!overlay.isScanned(from: [10]))
        #expect(try await scan(from: 10, to: 90, limit: 9).keys == [10, 11, 12, 13, 20])
        for start in UInt8(1)...9 { beginScan(from: 10 * start, to: 10 * start + 5, limit: 2) }
        #expect(!overlay.isScanned(from: [10]) && overlay.isScanned(from: [20]) && overlay.isScanned(from: [90]))
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
        beginScan(from: start, to: end, limit: 2 + Int(below(40)))
        for _ in 0..<below(5) {
            try await write(batch())
            for _ in 0..<below(4) { await Task.yield() }
        }
        var from: Bytes? = [start + below(UInt64(end - start))]
        let stop = start + below(100 - UInt64(start))
        let expected = try await memory.scan(from: from ?? [], to: [stop], limit: 1000)
        let page = 1 + Int(below(30))
        var found: [Row] = []
        while let key = from {
            let (rows, next) = try await overlay.scan(from: key, to: [stop], limit: page)
            #expect(rows.count <= page)
            found += rows
            from = next
        }
        #expect(found == expected)
    }
}
