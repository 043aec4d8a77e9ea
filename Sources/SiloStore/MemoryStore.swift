public import SiloCore
import Synchronization

/// A store in memory, with SlateDB's contract: a write is visible at once and durable after a flush.
/// `crash` forgets exactly what was not durable.
public final class MemoryStore: KeyValueStore {
    struct Contents: Sendable {
        /// In key order.
        var rows: [Row] = []

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

        func get(_ key: Bytes) -> Bytes? {
            let index = index(of: key)
            return index < rows.count && rows[index].key == key ? rows[index].value : nil
        }

        func scan(from start: Bytes, to end: Bytes, limit: Int) -> [Row] {
            Array(rows[index(of: start)...].prefix(limit).prefix { $0.key.lexicographicallyPrecedes(end) })
        }

        mutating func apply(_ batch: [Write]) {
            for write in batch {
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
    }

    private struct State {
        var written = Contents()
        var durable = Contents()
        var undurable: [[Write]] = []
        var isClosed = false
    }
    private let state = Mutex(State())

    public init() {}

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try contents().get(key)
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try contents().scan(from: start, to: end, limit: limit)
    }

    public func write(_ batch: [Write]) async throws(StoreError) {
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
        MemorySnapshot(contents: try contents())
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
        let next = MemoryStore()
        next.state.withLock { $0.written = durable; $0.durable = durable }
        return next
    }

    /// Every row, whether durable or not.
    public var rows: [Row] { state.withLock { $0.written.rows } }

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
    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { contents.get(key) }
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        contents.scan(from: start, to: end, limit: limit)
    }
}
