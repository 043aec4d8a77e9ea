import SiloCore
import SiloStore
import Synchronization
import TestSupport

@testable import SiloEngine

/// Counts the scans that a store has answered, and those of ready rows among them.
final class CountingStore: KeyValueStore {
    private let inner: any KeyValueStore
    private let counts = Mutex((scans: 0, readyPages: 0))
    /// Raised after each.
    let changes = Signal()
    var scans: Int { counts.withLock { $0.scans } }
    var readyPages: Int { counts.withLock { $0.readyPages } }

    init(_ inner: any KeyValueStore) {
        self.inner = inner
    }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        let rows = try await inner.scan(from: start, to: end, limit: limit)
        let isOfReady = Slice(of: start).map { start.starts(with: $0.ready.start) } ?? false
        counts.withLock { counts in
            counts.scans += 1
            if isOfReady { counts.readyPages += 1 }
        }
        changes.raise()
        return rows
    }

    func write(_ batch: [Write]) async throws(StoreError) { try await inner.write(batch) }
    func flush() async throws(StoreError) { try await inner.flush() }
    func snapshot() async throws(StoreError) -> any StoreReader { try await inner.snapshot() }
    func close() async throws(StoreError) { try await inner.close() }
}
