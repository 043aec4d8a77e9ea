import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloService

@Suite("Statements' reads beside a shard's work", .timeLimit(.minutes(10))) struct PacedReaderTests {
    /// Each range takes five milliseconds.
    private struct SlowReader: StoreReader {
        let inner: any StoreReader
        let clock: ManualClock

        func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }
        func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
            clock.advance(milliseconds: 5)
            return try await inner.scan(from: start, to: end, limit: limit)
        }
        func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
            clock.advance(milliseconds: 5)
            return try await inner.page(from: start, to: end, limit: limit, bytesMax: bytesMax)
        }
    }

    @Test("they pause for half as long again as they took while others ask the shard for something, and not otherwise")
    func pauses() async throws {
        let changes = Signal()
        let clock = ManualClock(changes: changes)
        let store = MemoryStore(clock: clock)
        let shard = try await Shard.open(store, clock: clock)
        let reader = PacedReader(SlowReader(inner: store, clock: clock), of: shard, clock)
        for _ in 0..<5 { _ = try await reader.scan(from: [], to: [255], limit: 1) }
        #expect(try await reader.get([1]) == nil)
        for _ in 0..<3 { _ = try await shard.run(Enqueue(tenant: Tenant.none, taskGroup: "g")) }
        let end = clock.steady + 7
        async let page = reader.page(from: [], to: [255], limit: 1, bytesMax: 1)
        try await changes.wait(for: "the pause") { clock.sleepers.contains(end) }
        clock.advance(milliseconds: 7)
        #expect(try await page.rows.count == 1)
        // What it took after the pause is followed by none, when nobody asked meanwhile.
        _ = try await reader.scan(from: [], to: [255], limit: 1)
        try await shard.close()
    }
}
