public import SiloCore
public import SiloStore
import Synchronization

/// A store that fails when it is told to.
public final class FaultyStore: KeyValueStore {
    public struct Faults: Sendable {
        public var failWrites = false
        public var failFlushes = false
        public var failReads = false
    }
    private let inner: any KeyValueStore
    private let faults = Mutex(Faults())

    public init(_ inner: any KeyValueStore) {
        self.inner = inner
    }

    public func set(_ change: (inout Faults) -> Void) {
        faults.withLock { change(&$0) }
    }

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try fail(\.failReads)
        return try await inner.get(key)
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try fail(\.failReads)
        return try await inner.scan(from: start, to: end, limit: limit)
    }

    public func write(_ batch: [Write]) async throws(StoreError) {
        try fail(\.failWrites)
        try await inner.write(batch)
    }

    public func flush() async throws(StoreError) {
        try fail(\.failFlushes)
        try await inner.flush()
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        try fail(\.failReads)
        return try await inner.snapshot()
    }

    public func close() async throws(StoreError) { try await inner.close() }

    private func fail(_ fault: any (KeyPath<Faults, Bool> & Sendable)) throws(StoreError) {
        if faults.withLock({ $0[keyPath: fault] }) { throw .unavailable("injected fault") }
    }
}
