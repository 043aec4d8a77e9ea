import SiloCore
import SiloStore
import Synchronization

/// A store that keeps a copy of every batch that is written to another one.
final class RecordingStore: KeyValueStore {
    private let store: any KeyValueStore
    private let batches = Mutex<[[Write]]>([])

    init(_ store: any KeyValueStore) { self.store = store }

    /// What was written so far, in order. Forgets it.
    func takeBatches() -> [[Write]] {
        batches.withLock { batches in
            defer { batches = [] }
            return batches
        }
    }

    func write(_ batch: [Write]) async throws(StoreError) {
        batches.withLock { $0.append(batch) }
        try await store.write(batch)
    }

    func flush() async throws(StoreError) { try await store.flush() }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await store.get(key) }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await store.scan(from: start, to: end, limit: limit)
    }

    func snapshot() async throws(StoreError) -> any StoreReader { try await store.snapshot() }
    func close() async throws(StoreError) { try await store.close() }
}

extension [Write] {
    /// Bytes of keys and values.
    var byteCount: Int { reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) } }
}
