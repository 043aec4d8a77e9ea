public import SiloCore
import Synchronization

/// A store in memory, with SlateDB's contract: a write is visible at once and durable after a flush, and a row is gone once it
/// has expired. `crash` forgets exactly what was not durable.
public final class MemoryStore: KeyValueStore {
    struct Contents: Sendable {
        /// In key order.
        var rows: [Row] = []
        /// Of the rows that expire.
        var expiries: [Bytes: Timestamp] = [:]

        /// The index of the first row whose key is not below `key`.
        func index(of key: Bytes) -> Int {
            var low = 0
            var high = rows.count
            while low < high {
                let middle = (low + high) / 2
                if rows[middle].key.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
            }
            return low
        }

        func isLive(_ key: Bytes, at now: Timestamp) -> Bool {
            expiries.isEmpty || expiries[key].map { $0 > now } ?? true
        }

        func get(_ key: Bytes, at now: Timestamp) -> Bytes? {
            let index = index(of: key)
            return index < rows.count && rows[index].key == key && isLive(key, at: now) ? rows[index].value : nil
        }

        func scan(from start: Bytes, to end: Bytes, limit: Int, at now: Timestamp) -> [Row] {
            let range = rows[index(of: start)...].lazy.prefix { $0.key.lexicographicallyPrecedes(end) }
            return Array(range.filter { isLive($0.key, at: now) }.prefix(limit))
        }

        mutating func apply(_ batch: [Write]) {
            guard batch.count < 128 else { return merge(batch) }
            for write in batch {
                expiries[write.key] = write.value == nil ? nil : write.expiresAt
                let index = index(of: write.key)
                let exists = index < rows.count && rows[index].key == write.key
                switch (write.value, exists) {
                case (let value?, true): rows[index] = Row(key: write.key, value: value)
                case (let value?, false): rows.insert(Row(key: write.key, value: value), at: index)
                case (nil, true): rows.remove(at: index)
                case (nil, false): break
                }
            }
        }

        /// As `apply`, in one pass over all rows: a large batch would move them once for each of its own.
        private mutating func merge(_ batch: [Write]) {
            let batch = batch.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            var merged: [Row] = []
            merged.reserveCapacity(rows.count + batch.count)
            var next = 0
            for write in batch {
                let place = index(of: write.key)
                merged += rows[next..<place]
                next = place < rows.count && rows[place].key == write.key ? place + 1 : place
                if let value = write.value { merged.append(Row(key: write.key, value: value)) }
                expiries[write.key] = write.value == nil ? nil : write.expiresAt
            }
            merged += rows[next...]
            rows = merged
        }
    }

    private struct State {
        var written = Contents()
        var durable = Contents()
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
    public func crash() -> MemoryStore {
        let durable = state.withLock { state in
            state.isClosed = true
            return state.durable
        }
        let next = MemoryStore(clock: clock)
        next.state.withLock { $0.written = durable; $0.durable = durable }
        return next
    }

    /// Every row, whether durable or not.
    public var rows: [Row] {
        let now = now
        return state.withLock { state in state.written.rows.filter { state.written.isLive($0.key, at: now) } }
    }

    /// Every row that would outlive a crash.
    public var durableRows: [Row] { state.withLock { $0.durable.rows } }

    private var now: Timestamp { clock?.now ?? Timestamp(0) }

    private func contents() throws(StoreError) -> Contents {
        try open { $0.written }
    }

    private func open<T: Sendable>(_ body: (inout sending State) -> T) throws(StoreError) -> T {
        let result: T? = state.withLock { $0.isClosed ? nil : body(&$0) }
        guard let result else { throw .unavailable("the store is closed") }
        return result
    }
}

private struct MemorySnapshot: StoreReader {
    let contents: MemoryStore.Contents
    let now: Timestamp
    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { contents.get(key, at: now) }
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        contents.scan(from: start, to: end, limit: limit, at: now)
    }
}
