import Arrow
import CSQLite

/// A value of the row that a statement stands at, as the types of Arrow want it.
struct ArrowValue {
    private let statement: OpaquePointer
    private let index: Int32
    /// As SQLite has it, before it was converted.
    private let kind: Int32

    init(_ statement: OpaquePointer, _ index: Int32) {
        self.statement = statement
        self.index = index
        kind = sqlite3_column_type(statement, index)
    }

    var isNull: Bool { kind == SQLITE_NULL }
    var integer: Int64 { sqlite3_column_int64(statement, index) }
    var real: Double { sqlite3_column_double(statement, index) }
    var blob: UnsafeRawBufferPointer { MessagePackRows.blob(statement, index) }

    /// Nil: it is larger than the largest.
    var exactInteger: Int64? {
        get throws(ArrowError) {
            guard kind == SQLITE_FLOAT else { return integer }
            if let exact = Int64(exactly: real) { return exact }
            guard real >= 0x1p63 else { throw .wrongValue }
            return nil
        }
    }

    /// SQLite has integers past the largest of 64 bits with a sign as fractions.
    var exactUnsigned: UInt64 {
        get throws(ArrowError) {
            guard let exact = UInt64(exactly: real) else { throw .wrongValue }
            return exact
        }
    }

    /// It as text; nil where that has to be made.
    var text: UnsafeRawBufferPointer? {
        guard kind != SQLITE_BLOB else { return nil }
        let start = sqlite3_column_text(statement, index)
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, index)))
        return kind != SQLITE_TEXT || bytes.isUTF8 ? bytes : nil
    }

    /// A blob as hexadecimal digits, and a text that is no UTF-8 with that replaced, for readers would refuse the whole batch.
    var madeText: [UInt8] {
        kind == SQLITE_BLOB ? MessagePackRows.hex(blob) : Array(String(decoding: blob, as: UTF8.self).utf8)
    }

    /// For people.
    var shown: String {
        switch kind {
        case SQLITE_NULL: "NULL"
        case SQLITE_INTEGER: "\(integer)"
        case SQLITE_FLOAT: "\(real)"
        default: "a text"
        }
    }
}

extension UnsafeRawBufferPointer {
    var isUTF8: Bool {
        withMemoryRebound(to: UInt8.self) { bytes in (try? UTF8Span(validating: bytes.span)) != nil }
    }
}
