import CSlateDB

/// Changes that are applied together or not at all. Used once.
public struct WriteBatch: ~Copyable {
    private let handle: UInt64
    /// How many changes it holds.
    public private(set) var count = 0

    public init() {
        var status = RustCallStatus()
        handle = uniffi_slatedb_uniffi_fn_constructor_writebatch_new(&status)
    }

    deinit {
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_free_writebatch(handle, &status)
    }

    /// A reference of its own, which the called function consumes.
    func reference() -> UInt64 {
        var status = RustCallStatus()
        return uniffi_slatedb_uniffi_fn_clone_writebatch(handle, &status)
    }

    /// Sets a row. Keys are 1 to 65,535 bytes.
    public mutating func put(_ key: [UInt8], _ value: [UInt8]) throws(StorageError) {
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_method_writebatch_put(reference(), .bytes(key), .bytes(value), &status)
        try added(status)
    }

    /// Sets a row that is dropped when its file is written or compacted at or after `expiresAtMilliseconds` since the Unix
    /// epoch. Until then reads still see it.
    public mutating func put(_ key: [UInt8], _ value: [UInt8], expiresAtMilliseconds: Int64) throws(StorageError) {
        var options = Lowered()
        options.integer(Int32(4))
        options.integer(expiresAtMilliseconds)
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_method_writebatch_put_with_options(
            reference(), .bytes(key), .bytes(value), .raw(options.bytes), &status
        )
        try added(status)
    }

    public mutating func delete(_ key: [UInt8]) throws(StorageError) {
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_method_writebatch_delete(reference(), .bytes(key), &status)
        try added(status)
    }

    /// Adds an operand that the database's merge operator folds into the row.
    public mutating func merge(_ key: [UInt8], _ operand: [UInt8]) throws(StorageError) {
        var status = RustCallStatus()
        uniffi_slatedb_uniffi_fn_method_writebatch_merge(reference(), .bytes(key), .bytes(operand), &status)
        try added(status)
    }

    private mutating func added(_ status: RustCallStatus) throws(StorageError) {
        if let error = StorageError(status) { throw error }
        count += 1
    }
}
