import CNanoarrow

/// Writes rows as Arrow IPC streams, of which each holds the schema and one batch: format version V5, little-endian,
/// uncompressed. A row is a value for each column, and then `endRow`. Used by one thread at a time.
package final class ArrowWriter {
    private let handle: OpaquePointer
    /// Of the batch that is being written.
    package private(set) var rows = 0
    /// What its values take, roughly.
    package private(set) var bytes = 0

    /// What closes a stream: a continuation and the length 0.
    private static let end: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]
    private static let fixedBytes = 8

    package init(_ fields: [ArrowField]) throws(ArrowError) {
        guard let handle = cnanoarrow_create(Int32(clamping: fields.count)) else { throw .noMemory }
        self.handle = handle
        for (index, field) in fields.enumerated() {
            try ArrowError.check(cnanoarrow_column(handle, Int32(index), field.name, field.type.native, field.isNullable ? 1 : 0))
        }
        try ArrowError.check(cnanoarrow_begin(handle))
    }

    deinit { cnanoarrow_destroy(handle) }

    package func appendNull(_ column: Int) throws(ArrowError) {
        bytes += Self.fixedBytes
        try ArrowError.check(cnanoarrow_null(handle, Int32(column)))
    }

    /// To a column of integers or of truth values.
    package func append(_ value: Int64, _ column: Int) throws(ArrowError) {
        bytes += Self.fixedBytes
        try ArrowError.check(cnanoarrow_signed(handle, Int32(column), value))
    }

    package func append(_ value: UInt64, _ column: Int) throws(ArrowError) {
        bytes += Self.fixedBytes
        try ArrowError.check(cnanoarrow_unsigned(handle, Int32(column), value))
    }

    package func append(_ value: Double, _ column: Int) throws(ArrowError) {
        bytes += Self.fixedBytes
        try ArrowError.check(cnanoarrow_real(handle, Int32(column), value))
    }

    /// To a column of texts, whose bytes must be UTF-8, or of blobs.
    package func append(_ content: UnsafeRawBufferPointer, _ column: Int) throws(ArrowError) {
        bytes += content.count + Self.fixedBytes
        try ArrowError.check(cnanoarrow_content(handle, Int32(column), cnanoarrow_bytes(content)))
    }

    package func append(_ content: [UInt8], _ column: Int) throws(ArrowError) {
        try content.withUnsafeBufferPointer { bytes throws(ArrowError) in try append(UnsafeRawBufferPointer(bytes), column) }
    }

    /// To a column of lists. - Parameter items: of UTF-8; nil in place of NULL.
    package func append(list items: [UnsafeRawBufferPointer?], _ column: Int) throws(ArrowError) {
        for item in items {
            bytes += (item?.count ?? 0) + Self.fixedBytes
            try ArrowError.check(cnanoarrow_item(handle, Int32(column), cnanoarrow_bytes(item)))
        }
        try endElements(column)
    }

    /// To a column of maps. - Parameter pairs: a key and a value by turns, of UTF-8; nil in place of NULL, which no key is.
    package func append(map pairs: [UnsafeRawBufferPointer?], _ column: Int) throws(ArrowError) {
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            let (key, value) = (pairs[index], pairs[index + 1])
            bytes += (key?.count ?? 0) + (value?.count ?? 0) + 2 * Self.fixedBytes
            try ArrowError.check(
                cnanoarrow_pair(handle, Int32(column), cnanoarrow_bytes(key), cnanoarrow_bytes(value)))
        }
        try endElements(column)
    }

    private func endElements(_ column: Int) throws(ArrowError) {
        bytes += Self.fixedBytes
        try ArrowError.check(cnanoarrow_end_elements(handle, Int32(column)))
    }

    package func endRow() throws(ArrowError) {
        rows += 1
        try ArrowError.check(cnanoarrow_end_row(handle))
    }

    /// Ends the batch, which may have no rows, and begins the next.
    /// - Returns: a whole stream.
    package func endBatch() throws(ArrowError) -> [UInt8] {
        var (schema, head, body) = (cnanoarrow_bytes(), cnanoarrow_bytes(), cnanoarrow_bytes())
        try ArrowError.check(cnanoarrow_end_batch(handle, &schema, &head, &body))
        (rows, bytes) = (0, 0)
        var stream: [UInt8] = []
        stream.reserveCapacity(Int(schema.count + head.count + body.count) + Self.end.count)
        for part in [schema, head, body] { stream += UnsafeBufferPointer(start: part.start, count: Int(part.count)) }
        stream += Self.end
        return stream
    }
}

extension cnanoarrow_bytes {
    fileprivate init(_ bytes: UnsafeRawBufferPointer?) {
        self.init(start: bytes?.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.map { Int64($0.count) } ?? -1)
    }
}
