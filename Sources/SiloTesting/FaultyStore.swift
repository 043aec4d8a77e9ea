public import SiloCore
public import SiloStore
import Synchronization

/// A store that fails, or keeps its callers waiting, when it is told to.
public final class FaultyStore: KeyValueStore {
    private struct State {
        var faults = Faults()
        var held: [CheckedContinuation<Void, Never>] = []
    }
    public struct Faults: Sendable {
        public var failWrites = false
        public var failFlushes = false
        public var failReads = false
        /// What a failure says.
        public var error = StoreError.unavailable("injected fault")
        /// Flushes wait until this is cleared.
        public var holdFlushes = false
    }
    private let inner: any KeyValueStore
    private let state = Mutex(State())

    public init(_ inner: any KeyValueStore) {
        self.inner = inner
    }

    public func set(_ change: (inout Faults) -> Void) {
        let released = state.withLock { state in
            change(&state.faults)
            guard !state.faults.holdFlushes else { return [] as [CheckedContinuation<Void, Never>] }
            defer { state.held = [] }
            return state.held
        }
        for flush in released { flush.resume() }
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
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.faults.holdFlushes { state.held.append(continuation) }
                return state.faults.holdFlushes
            }
            if !isHeld { continuation.resume() }
        }
        try fail(\.failFlushes)
        try await inner.flush()
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        try fail(\.failReads)
        return try await inner.snapshot()
    }

    public func close() async throws(StoreError) { try await inner.close() }

    private func fail(_ fault: any (KeyPath<Faults, Bool> & Sendable)) throws(StoreError) {
        let faults = state.withLock { $0.faults }
        if faults[keyPath: fault] { throw faults.error }
    }
}
