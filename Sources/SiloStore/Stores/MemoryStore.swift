public import SiloCore
import Synchronization

/// A store in memory, with SlateDB's contract: a write is visible at once and durable after a flush, and a row is gone once it
/// has expired. `crash` forgets exactly what was not durable.
public final class MemoryStore: KeyValueStore {
    private struct State {
        var written = SortedRows()
        var durable = SortedRows()
        var undurable: [[Write]] = []
        var isClosed = false
    }
    private let state = Mutex(State())
    private let clock: (any Clock)?

    /// - Parameter clock: says when rows expire; without one they never do.
    public init(clock: (any Clock)? = nil) {
        self.clock = clock
    }

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try contents().get(key, at: now)
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try contents().scan(from: start, to: end, limit: limit, at: now)
    }

    public func write(_ batch: [Write]) async throws(StoreError) {
        guard Set(batch.map(\.key)).count == batch.count else { throw .corrupt("a key occurs twice in one batch") }
        if let write = try contents().wronglyNew(in: batch, at: now) {
            throw .corrupt("row \(write.key) is there, and was said to be new")
        }
        try open { state in
            state.written.apply(batch)
            state.undurable.append(batch)
        }
    }

    public func flush() async throws(StoreError) {
        try open { state in
            for batch in state.undurable { state.durable.apply(batch) }
            state.undurable = []
        }
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        MemorySnapshot(contents: try contents(), now: now)
    }

    public func close() async throws(StoreError) {
        state.withLock { state in
            for batch in state.undurable { state.durable.apply(batch) }
            state.undurable = []
            state.isClosed = true
        }
    }

    /// The process dies: what was not durable is gone. Returns the store that the next process opens.
    /// - Parameter clock: of the next process; nil: the same.
    public func crash(clock: (any Clock)? = nil) -> MemoryStore {
        let durable = state.withLock { state in
            state.isClosed = true
            return state.durable
        }
        let next = MemoryStore(clock: clock ?? self.clock)
        next.state.withLock { $0.written = durable; $0.durable = durable }
        return next
    }

    /// Every row, whether durable or not.
    public var rows: [Row] {
        let now = now
        return state.withLock { $0.written.all(at: now) }
    }

    /// Every row that would outlive a crash.
    public var durableRows: [Row] { state.withLock { $0.durable.all(at: Timestamp(.min)) } }

    private var now: Timestamp { clock?.now ?? Timestamp(0) }

    private func contents() throws(StoreError) -> SortedRows {
        try open { $0.written }
    }

    private func open<T: Sendable>(_ body: (inout sending State) -> T) throws(StoreError) -> T {
        let result: T? = state.withLock { $0.isClosed ? nil : body(&$0) }
        guard let result else { throw .unavailable("the store is closed") }
        return result
    }
}

private struct MemorySnapshot: StoreReader {
    let contents: SortedRows
    let now: Timestamp
    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { contents.get(key, at: now) }
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        contents.scan(from: start, to: end, limit: limit, at: now)
    }
}
