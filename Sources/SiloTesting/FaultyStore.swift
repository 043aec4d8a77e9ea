public import SiloCore
public import SiloStore
public import SlateDB
import Synchronization
public import TestSupport

/// A store that fails, or keeps its callers waiting, when it is told to.
public final class FaultyStore: KeyValueStore {
    private struct State {
        var faults = Faults()
        var held: [(fault: KeyPath<Faults, Bool>, continuation: CheckedContinuation<Void, Never>)] = []
    }
    public struct Faults: Sendable {
        public var failWrites = false
        public var failFlushes = false
        public var failReads = false
        /// Calls that still succeed; then the store has failed for good, and so does every call. Nil: no bound.
        public var callsLeft: Int?
        /// What is written of each change instead; nil: nothing. As a bug above would have it.
        public var mangle: (@Sendable (Write) -> Write?)?
        /// Rows that are not to be read one by one: who does fails.
        public var unread: (@Sendable (Bytes) -> Bool)?
        /// What a failure says.
        public var error = StoreError.unavailable("injected fault")
        /// Writes, flushes or reads wait until this is cleared.
        public var holdWrites = false
        public var holdFlushes = false
        public var holdReads = false
        /// The same of reads of snapshots.
        public var failViews = false
        public var holdViews = false
        /// It has closed itself, and every call fails.
        public var isClosed = false
        /// Its clock is behind, and it takes no writes.
        public var lag: ClockLag?
        /// Why nothing should begin.
        public var refusal: StoreError?
    }
    private let inner: any KeyValueStore
    private let state = Mutex(State())
    /// Raised when a call is held.
    public let changes: Signal

    public init(_ inner: any KeyValueStore, changes: Signal = Signal()) {
        self.inner = inner
        self.changes = changes
    }

    public func set(_ change: (inout Faults) -> Void) {
        let released = state.withLock { state in
            change(&state.faults)
            let faults = state.faults
            defer { state.held.removeAll { !faults[keyPath: $0.fault] } }
            return state.held.filter { !faults[keyPath: $0.fault] }.map(\.continuation)
        }
        for call in released { call.resume() }
    }

    /// Calls that are held.
    public var heldCount: Int { state.withLock { $0.held.count } }

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        await hold(\.holdReads)
        try fail(\.failReads)
        if let error = state.withLock({ $0.faults.unread?(key) == true ? $0.faults.error : nil }) { throw error }
        return try await inner.get(key)
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        await hold(\.holdReads)
        try fail(\.failReads)
        return try await inner.scan(from: start, to: end, limit: limit)
    }

    public func write(_ batch: [Write]) async throws(StoreError) {
        await hold(\.holdWrites)
        try fail(\.failWrites)
        let mangle = state.withLock { $0.faults.mangle }
        try await inner.write(mangle.map { mangle in batch.compactMap(mangle) } ?? batch)
    }

    public func flush() async throws(StoreError) {
        await hold(\.holdFlushes)
        try fail(\.failFlushes)
        try await inner.flush()
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        try fail(\.failReads)
        return FaultyView(view: try await inner.snapshot(), store: self)
    }

    /// Nothing else of what befalls the store is of views that it gave.
    fileprivate func beforeViewIsRead() async throws(StoreError) {
        await hold(\.holdViews)
        if let error = state.withLock({ $0.faults.failViews ? $0.faults.error : nil }) { throw error }
    }

    public func close() async throws(StoreError) { try await inner.close() }

    public var clockLag: ClockLag? { state.withLock { $0.faults.lag } ?? inner.clockLag }
    public var refusal: StoreError? { state.withLock { $0.faults.refusal } ?? inner.refusal }
    public var isOpen: Bool { state.withLock { !$0.faults.isClosed && $0.faults.callsLeft != 0 } && inner.isOpen }

    private func hold(_ fault: any (KeyPath<Faults, Bool> & Sendable)) async {
        guard state.withLock({ $0.faults[keyPath: fault] }) else { return }
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.faults[keyPath: fault] { state.held.append((fault, continuation)) }
                return state.faults[keyPath: fault]
            }
            if isHeld { changes.raise() } else { continuation.resume() }
        }
    }

    private func fail(_ fault: any (KeyPath<Faults, Bool> & Sendable)) throws(StoreError) {
        let error: StoreError? = state.withLock { state in
            if state.faults.isClosed { return .unavailable("the store has closed itself") }
            if let lag = state.faults.lag, fault != \.failReads { return .behind(lag) }
            if let left = state.faults.callsLeft {
                guard left > 0 else { return state.faults.error }
                state.faults.callsLeft = left - 1
            }
            return state.faults[keyPath: fault] ? state.faults.error : nil
        }
        if let error { throw error }
    }
}

private struct FaultyView: StoreReader {
    let view: any StoreReader
    let store: FaultyStore

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try await store.beforeViewIsRead()
        return try await view.get(key)
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await store.beforeViewIsRead()
        return try await view.scan(from: start, to: end, limit: limit)
    }
}
