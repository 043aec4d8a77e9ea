import CSlateDB
import Foundation
import SlateDBBinding
import Synchronization

/// One SlateDB database: an ordered map from bytes to bytes in an object store, with a single writer.
///
/// Whoever opens it last is the writer; the one before gets `.fenced` at its next write.
public final class Database: Sendable {
    private let db: Db
    private let reads: Reads
    /// How what is acknowledged gets onto the disk.
    public let durability: Durability
    /// What it counts; nil: nothing.
    public let metrics: Metrics?
    /// The greatest stamp of a write.
    private let lastWrite: Atomic<Int64>
    /// Of scans of many rows.
    private let readAhead: ReadAhead
    /// What the wall clock showed when the steady one showed 0, as SlateDB found it at its opening.
    private let wallClockAtZero = ClockLag.wallClock() - ClockLag.steadyClock()

    /// - Parameter lastWrite: the greatest stamp of a write that was there when it was opened; milliseconds since the Unix epoch.
    init(_ db: Db, durability: Durability, metrics: Metrics?, lastWrite: Int64, isLocal: Bool) {
        self.db = db
        self.durability = durability
        self.metrics = metrics
        self.lastWrite = Atomic(lastWrite)
        // A disk answers at once. There what nobody comes to costs more than waiting: each block of it is looked up in the cache,
        // in every file, for every page.
        readAhead = ReadAhead(bytes: 256 << 10, fetches: isLocal ? 1 : 4)
        reads = Reads(
            reference: { db.uniffiCloneHandle() },
            get: uniffi_slatedb_uniffi_fn_method_db_get_with_options,
            scan: uniffi_slatedb_uniffi_fn_method_db_scan_with_options
        )
    }

    /// Opens the database at `path` in `store`, making it when there is none, and fences off the writer before.
    /// - Throws: `.invalid` for an unknown setting, a log that lies elsewhere, or no database where one must be.
    public static func open(
        _ path: String, in store: ObjectStore, _ options: OpenOptions = OpenOptions()
    ) async throws(StorageError) -> Database {
        try await Opening(path: path, store: store, options: options).open()
    }

    /// The value of `key`, or nil. Sees everything written.
    public func get(_ key: [UInt8]) async throws(StorageError) -> [UInt8]? {
        try await reads.get(key)
    }

    /// The values of several keys, in their order.
    public func get(many keys: [[UInt8]]) async throws(StorageError) -> [[UInt8]?] {
        var values: [[UInt8]?] = []
        values.reserveCapacity(keys.count)
        for key in keys { values.append(try await reads.get(key)) }
        return values
    }

    /// The first `limit` rows with `start <= key < end`; nil leaves a side open, an empty range has no rows.
    public func scan(from start: [UInt8]?, to end: [UInt8]?, limit: Int) async throws(StorageError) -> [KeyValue] {
        try await scan(from: start, to: end, limit: limit, bytesMax: .max).rows
    }

    /// The same of about `bytesMax` bytes, and one row at least.
    /// - Returns: the rows, and whether there may be more.
    public func scan(
        from start: [UInt8]?, to end: [UInt8]?, limit: Int, bytesMax: Int
    ) async throws(StorageError) -> (rows: [KeyValue], hasMore: Bool) {
        try await reads.cursor(from: start, to: end, limit > 256 ? readAhead : .little).next(limit, bytesMax: bytesMax)
    }

    /// Walks over rows with `start <= key < end`, as they are now.
    public func cursor(from start: [UInt8]?, to end: [UInt8]?) async throws(StorageError) -> Cursor {
        try await reads.cursor(from: start, to: end, ReadAhead(bytes: 1 << 20))
    }

    /// An unchanging view.
    public func snapshot() async throws(StorageError) -> Snapshot {
        Snapshot(try await lifting { try await db.snapshot() })
    }

    /// How far the wall clock is behind; nil: writes are taken. It may be set at any time.
    public var clockLag: ClockLag? {
        let lag = ClockLag(lastWrite: lastWrite.load(ordering: .relaxed), now: ClockLag.wallClock())
        // SlateDB sits a small step out: it sleeps for twice as long.
        return lag.now < lag.lastWrite - Self.lagToleratedMilliseconds ? lag : nil
    }

    private static let lagToleratedMilliseconds: Int64 = 1000

    /// SlateDB's own time would be refused, that of the wall clock would not: it counts from its opening, and the clock was set
    /// since. Opened anew it takes writes.
    public var isOutdated: Bool {
        clockLag == nil
            && wallClockAtZero + ClockLag.steadyClock() < lastWrite.load(ordering: .relaxed) - Self.lagToleratedMilliseconds
    }

    /// Applies all of `batch` or nothing, after everything written before. Later reads see it; it is durable after the
    /// next `flush(.log)`.
    /// - Throws: `.clockBehind` while the wall clock is more than a second behind the last write. Nothing was written, and the
    ///   database goes on serving reads.
    public func write(_ batch: consuming WriteBatch) async throws(StorageError) {
        guard batch.count > 0 else { return }
        if let lag = clockLag { throw .clockBehind(lag) }
        let handle = try await RustFuture.handle.run(
            uniffi_slatedb_uniffi_fn_method_db_write(db.uniffiCloneHandle(), batch.reference())
        )
        // The call consumes the handle.
        var status = RustCallStatus()
        let stamp = uniffi_slatedb_uniffi_fn_method_writehandle_create_ts(handle, &status)
        if let error = StorageError(status) { throw error }
        lastWrite.max(stamp, ordering: .relaxed)
    }

    public enum FlushTarget: Sendable {
        /// Appends what was written to the log: enough for durability.
        case log
        /// Also turns the log into sorted files, so that the next opening replays nothing.
        case sortedFiles
    }

    /// On return everything written before the call is durable.
    /// - Throws: `.clockBehind` when the clock is behind and sorted files are wanted: nothing was flushed, and the database goes
    ///   on.
    public func flush(_ target: FlushTarget) async throws(StorageError) {
        // Sorted files are stamped as writes are, and a refused stamp ends the database.
        if target == .sortedFiles, let lag = clockLag { throw .clockBehind(lag) }
        try await Self.flush(db, target)
    }

    static func flush(_ db: Db, _ target: FlushTarget) async throws(StorageError) {
        var options = Lowered()
        options.integer(Int32(target == .log ? 2 : 1))
        try await RustFuture.nothing.run(
            uniffi_slatedb_uniffi_fn_method_db_flush_with_options(db.uniffiCloneHandle(), .raw(options.bytes))
        )
    }

    /// Flushes and closes. Afterwards every call gives `.closed`; repeating it is harmless.
    public func close() async throws(StorageError) {
        do { try await lifting { try await db.shutdown() } } catch .closed {}
    }

    /// Whether the database still serves, and if not, why.
    public var isOpen: Bool { db.status().closeReason == nil }

    /// The sequence number up to which everything is durable.
    public var durableSequence: UInt64 { db.status().durableSeq }
}

/// An unchanging view of a database.
public final class Snapshot: Sendable {
    private let reads: Reads

    init(_ snapshot: DbSnapshot) {
        reads = Reads(
            reference: { snapshot.uniffiCloneHandle() },
            get: uniffi_slatedb_uniffi_fn_method_dbsnapshot_get_with_options,
            scan: uniffi_slatedb_uniffi_fn_method_dbsnapshot_scan_with_options
        )
    }

    public func get(_ key: [UInt8]) async throws(StorageError) -> [UInt8]? {
        try await reads.get(key)
    }

    public func scan(from start: [UInt8]?, to end: [UInt8]?, limit: Int) async throws(StorageError) -> [KeyValue] {
        try await cursor(from: start, to: end).next(limit)
    }

    public func scan(
        from start: [UInt8]?, to end: [UInt8]?, limit: Int, bytesMax: Int
    ) async throws(StorageError) -> (rows: [KeyValue], hasMore: Bool) {
        try await cursor(from: start, to: end).next(limit, bytesMax: bytesMax)
    }

    public func cursor(from start: [UInt8]?, to end: [UInt8]?) async throws(StorageError) -> Cursor {
        try await reads.cursor(from: start, to: end, ReadAhead(bytes: 256 << 10))
    }
}
