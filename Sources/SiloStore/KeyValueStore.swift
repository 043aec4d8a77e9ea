public import SiloCore
public import SlateDB

/// A row as it is stored.
public struct Row: Equatable, Sendable {
    public let key: Bytes
    public let value: Bytes
    public init(key: Bytes, value: Bytes) {
        self.key = key
        self.value = value
    }
}

/// One change of one key.
public struct Write: Equatable, Sendable {
    public let key: Bytes
    /// Nil deletes the row.
    public let value: Bytes?
    /// From this time on the row may be gone, sooner or later; what it replaced does not come back. Nil keeps it.
    public let expiresAt: Timestamp?
    /// The caller knows that the store has no row of this key. Such a row, when it is deleted soon, need never be stored.
    public let isNew: Bool

    public init(key: Bytes, value: Bytes?, expiresAt: Timestamp? = nil, isNew: Bool = false) {
        self.key = key
        self.value = value
        self.expiresAt = expiresAt
        self.isNew = isNew
    }
}

/// What a store can say went wrong. Each case is a different next step. The cause is what the storage engine said, if it was
/// that.
public enum StoreError: Error, Equatable, Sendable {
    /// Another process opened the shard: step down.
    case fenced(String, cause: StorageError? = nil)
    /// The store did not answer, is closed, or a call of it went wrong: throw the shard's memory away and open it again.
    case unavailable(String, cause: StorageError? = nil)
    /// There is no space for what was written. Nothing is lost: it waits in memory, and is made durable when there is.
    case full(String)
    /// The clock is behind the last write: reads go on, writes have to wait.
    case behind(ClockLag)
    /// What is stored cannot be read, or is not there: somebody must look. It is still tried again, for somebody may have mended
    /// it.
    case corrupt(String, cause: StorageError? = nil)

    /// For callers and log lines.
    public var message: String {
        switch self {
        case .fenced(let text, _): "the shard was opened elsewhere: \(text)"
        case .unavailable(let text, _): "storage is unavailable: \(text)"
        case .full(let text): "storage is full: \(text)"
        case .behind(let lag): lag.description
        case .corrupt(let text, _): "stored data cannot be read: \(text)"
        }
    }

    /// What the storage engine said, for log lines.
    public var cause: StorageError? {
        switch self {
        case .fenced(_, let cause), .unavailable(_, let cause), .corrupt(_, let cause): cause
        case .behind(let lag): .clockBehind(lag)
        case .full: nil
        }
    }
}

/// How far the writers of a store have come: moves whenever one opens it, or makes something durable.
public struct StoreActivity: Equatable, Sendable {
    public let openings: UInt64
    public let flushes: UInt64

    public init(openings: UInt64, flushes: UInt64) {
        self.openings = openings
        self.flushes = flushes
    }
}

/// Reads of an ordered key-value store.
public protocol StoreReader: Sendable {
    func get(_ key: Bytes) async throws(StoreError) -> Bytes?

    /// The first `limit` rows of `[start, end)` in key order.
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row]

    /// The same of about `bytesMax` bytes, and one row at least, for those who cannot tell how large rows are.
    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage
}

/// Rows in key order, and whether their range may have more behind them.
public struct RowPage: Sendable {
    public let rows: [Row]
    public let hasMore: Bool

    public init(_ rows: [Row], hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }

    /// The first of `rows` with about `bytesMax` bytes, and one at least.
    /// - Parameter limit: so many were asked for.
    fileprivate init(_ rows: [Row], of limit: Int, bytesMax: Int) {
        var (count, bytes) = (0, 0)
        while count < rows.count, count == 0 || bytes < bytesMax {
            bytes += rows[count].key.count + rows[count].value.count
            count += 1
        }
        self.init(count == rows.count ? rows : Array(rows[..<count]), hasMore: count < rows.count || rows.count == limit)
    }
}

/// An ordered key-value store with a single writer. SlateDB serves it; simulation uses one in memory.
public protocol KeyValueStore: StoreReader {
    /// Applies all of `batch` or nothing. On return later reads see it; it is durable after the next `flush`.
    /// No key may occur twice.
    /// - Throws: `.behind` while there is a `clockLag`. Nothing was written then.
    func write(_ batch: [Write]) async throws(StoreError)

    /// On return everything written before the call is durable.
    /// - Throws: `.full` while there is no space for it. It may be called again, and covers then what this call did not.
    func flush() async throws(StoreError)

    /// An unchanging view of what has been written so far.
    func snapshot() async throws(StoreError) -> any StoreReader

    /// Makes everything durable and lets go of the store. Repeating it is harmless.
    func close() async throws(StoreError)

    /// Why no change should begin; nil: they are taken. It passes by itself, and nothing is lost meanwhile: reads go on, and who
    /// is in the middle of a change may still write it.
    var refusal: StoreError? { get }

    /// False: it has closed itself after a failure, and has to be opened anew.
    var isOpen: Bool { get }

    /// It goes by a clock that was set since it was opened, and has to be opened anew before it takes writes.
    var isOutdated: Bool { get }

    /// How far the clock that the store stamps its writes with is behind the last of them; nil: writes are taken.
    var clockLag: ClockLag? { get }

    /// How an acknowledged write is on the disk; nil for a store of tests.
    var durability: Durability? { get }
}

extension KeyValueStore {
    public var refusal: StoreError? { nil }
    public var isOpen: Bool { true }
    public var isOutdated: Bool { false }
    public var clockLag: ClockLag? { nil }
    public var durability: Durability? { nil }
}

private struct IndexedValue: Sendable {
    let index: Int
    let value: Result<Bytes?, StoreError>
}

extension StoreReader {
    /// Values of several keys, in the order of the keys, asked for side by side.
    package func gets(_ keys: [Bytes]) async throws(StoreError) -> [Bytes?] {
        let found = await withTaskGroup(of: IndexedValue.self) { group in
            for (index, key) in keys.enumerated() {
                group.addTask { IndexedValue(index: index, value: await outcome(of: key)) }
            }
            var found: [IndexedValue] = []
            for await value in group { found.append(value) }
            return found
        }
        var values = [Bytes?](repeating: nil, count: keys.count)
        for one in found { values[one.index] = try one.value.get() }
        return values
    }

    private func outcome(of key: Bytes) async -> Result<Bytes?, StoreError> {
        do throws(StoreError) {
            return .success(try await get(key))
        } catch {
            return .failure(error)
        }
    }

    /// Of a store whose rows are in memory anyhow: what is too much is left out again.
    public func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        RowPage(try await scan(from: start, to: end, limit: limit), of: limit, bytesMax: bytesMax)
    }

    /// Every row of `[start, end)`, read in pages.
    public func scanAll(
        from start: Bytes, to end: Bytes, page: Int = 1024, _ body: (Row) throws(StoreError) -> Void
    ) async throws(StoreError) {
        var start = start
        while true {
            let rows = try await scan(from: start, to: end, limit: page)
            for row in rows { try body(row) }
            guard rows.count == page, let last = rows.last else { return }
            start = last.key + [0]
        }
    }
}
