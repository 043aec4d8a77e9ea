import CSlateDB

/// A row as it was read.
public struct KeyValue: Equatable, Sendable {
    public let key: [UInt8]
    public let value: [UInt8]
}

/// How much of each file a scan asks for before it gets there.
struct ReadAhead: Sendable {
    /// Of one fetch; at least a block.
    var bytes: UInt64
    /// Fetches at once.
    var fetches: UInt64 = 4

    /// Some blocks.
    static let little = ReadAhead(bytes: 1)
}

/// Reads of one handle, be it a database or a snapshot: they differ in the C functions only. They see everything written, also
/// what a crash may still take back.
struct Reads: Sendable {
    typealias Function = @convention(c) (UInt64, RustBuffer, RustBuffer) -> UInt64

    /// A reference to the handle that the called function consumes.
    let reference: @Sendable () -> UInt64
    let get: Function
    let scan: Function

    func get(_ key: [UInt8]) async throws(StorageError) -> [UInt8]? {
        let result = try await RustFuture.buffer.run(get(reference(), .bytes(key), .raw(Self.readOptions)))
        let bytes = LiftedBytes(result)
        guard let isPresent = bytes.isPresent() else { throw .internalError("malformed answer to a get") }
        guard isPresent else { return nil }
        guard let value = bytes.bytes() else { throw .internalError("malformed answer to a get") }
        return value
    }

    func cursor(
        from start: [UInt8]?, to end: [UInt8]?, _ ahead: ReadAhead
    ) async throws(StorageError) -> Cursor {
        if let start, let end, start.lexicographicallyPrecedes(end) == false { return Cursor(nil) }
        var range = Lowered()
        range.optional(start)
        range.flag(true)
        range.optional(end)
        range.flag(false)
        let options = Self.scanOptions(ahead)
        return Cursor(try await RustFuture.handle.run(scan(reference(), .raw(range.bytes), .raw(options))))
    }

    /// slatedb's `DurabilityLevel.Memory`.
    private static let written: Int32 = 2

    private static let readOptions: [UInt8] = {
        var options = Lowered()
        options.integer(written)
        options.flag(false)  // dirty
        options.flag(true)  // keep the blocks in the cache
        options.flag(false)  // no filter context
        options.flag(false)  // no tracing
        return options.bytes
    }()

    private static func scanOptions(_ ahead: ReadAhead) -> [UInt8] {
        var options = Lowered()
        options.integer(written)
        options.flag(false)  // dirty
        options.integer(ahead.bytes)
        options.flag(true)  // keep the blocks in the cache
        options.integer(ahead.fetches)
        options.flag(false)  // in ascending order
        options.flag(false)  // no filter context
        options.flag(false)  // no tracing
        return options.bytes
    }
}

/// Walks over rows in key order. For one task at a time.
public final class Cursor: Sendable {
    private let handle: UInt64?

    init(_ handle: UInt64?) { self.handle = handle }

    deinit {
        guard let handle else { return }
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_free_dbiterator(handle, &status)
    }

    /// Up to `countMax` further rows; fewer only at the end.
    public func next(_ countMax: Int) async throws(StorageError) -> [KeyValue] {
        try await next(countMax, bytesMax: .max).rows
    }

    /// The same of about `bytesMax` bytes, and one row at least.
    /// - Returns: the rows, and whether there may be more.
    public func next(_ countMax: Int, bytesMax: Int) async throws(StorageError) -> (rows: [KeyValue], hasMore: Bool) {
        guard let handle, countMax > 0 else { return ([], false) }
        var rows: [KeyValue] = []
        rows.reserveCapacity(min(countMax, 1024))
        var bytes = 0
        // SlateDB bounds what it gives at once by rows alone: a few at a time, so that large ones are noticed.
        var batch = bytesMax == .max ? 1024 : 32
        while rows.count < countMax, bytes < bytesMax || rows.isEmpty {
            let wanted = UInt32(min(countMax - rows.count, batch))
            var status = RustCallStatus()
            let reference = uniffi_slatedb_uniffi_fn_clone_dbiterator(handle, &status)
            let page = try await RustFuture.buffer.run(
                uniffi_slatedb_uniffi_fn_method_dbiterator_next_batch(reference, wanted)
            )
            let count = try Self.lift(LiftedBytes(page), into: &rows)
            if count < Int(wanted) { return (rows, false) }
            guard bytesMax < .max else { continue }
            let added = rows.suffix(count).reduce(0) { $0 + $1.key.count + $1.value.count }
            bytes += added
            batch = max(1, min(32, (bytesMax - bytes) / max(1, added / count)))
        }
        return (rows, true)
    }

    private static func lift(_ bytes: LiftedBytes, into rows: inout [KeyValue]) throws(StorageError) -> Int {
        guard let count: Int32 = bytes.integer() else { throw .internalError("malformed answer to a scan") }
        for _ in 0..<count {
            // key, value, sequence number, creation and expiry time
            guard let key = bytes.bytes(), let value = bytes.bytes(), bytes.skip(16), let expires = bytes.isPresent(),
                !expires || bytes.skip(8)
            else { throw .internalError("malformed answer to a scan") }
            rows.append(KeyValue(key: key, value: value))
        }
        return Int(count)
    }
}
