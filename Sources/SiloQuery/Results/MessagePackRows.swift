import CSQLite

/// Writes the rows of a result as MessagePack maps (spec/query.md 8.2), with the smallest encoding of each value.
struct MessagePackRows {
    private let columns: [Column]
    private let names: [[UInt8]]
    private let head: [UInt8]

    init(_ columns: [Column]) {
        self.columns = columns
        var head: [UInt8] = []
        head.appendMapHead(columns.count)
        self.head = head
        names = columns.map { column in
            var name: [UInt8] = []
            name.appendText(Array(column.name.utf8))
            return name
        }
    }

    /// The row that a statement stands at.
    func row(_ statement: PreparedStatement) -> [UInt8] {
        var row = head
        for index in columns.indices {
            row += names[index]
            append(statement.handle, Int32(index), columns[index].type, to: &row)
        }
        return row
    }

    func row(of texts: [String]) -> [UInt8] {
        var row = head
        for (name, text) in zip(names, texts) {
            row += name
            row.appendText(Array(text.utf8))
        }
        return row
    }

    private func append(_ statement: OpaquePointer, _ index: Int32, _ type: ColumnType, to row: inout [UInt8]) {
        let kind = sqlite3_column_type(statement, index)
        if kind == SQLITE_NULL { return row.append(0xc0) }
        switch type {
        case .boolean: row.append(sqlite3_column_int64(statement, index) != 0 ? 0xc3 : 0xc2)
        case .int64, .int32, .uint8, .uint32, .uint64:
            if kind == SQLITE_FLOAT {
                row.appendReal(sqlite3_column_double(statement, index))
            } else {
                row.appendInteger(sqlite3_column_int64(statement, index))
            }
        case .float64: row.appendReal(sqlite3_column_double(statement, index))
        case .binary: row.appendText(Self.hex(Self.blob(statement, index)))
        case .map: row.appendRepaired(TextPairs.mapText(Self.blob(statement, index)))
        case .list: row.appendRepaired(TextPairs.listText(Self.blob(statement, index)))
        case .utf8, .json, .null:
            if kind == SQLITE_BLOB { return row.appendText(Self.hex(Self.blob(statement, index))) }
            let text = sqlite3_column_text(statement, index)
            row.appendRepaired(UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(statement, index))))
        }
    }

    static func blob(_ statement: OpaquePointer, _ index: Int32) -> UnsafeRawBufferPointer {
        let bytes = sqlite3_column_blob(statement, index)
        return UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sqlite3_column_bytes(statement, index)))
    }

    static func hex(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }
}

extension [UInt8] {
    fileprivate mutating func append<Number: FixedWidthInteger>(_ head: UInt8, _ number: Number) {
        append(head)
        Swift.withUnsafeBytes(of: number.bigEndian) { self += $0 }
    }

    fileprivate mutating func appendMapHead(_ count: Int) {
        if count < 16 {
            append(0x80 | UInt8(count))
        } else if count <= UInt16.max {
            append(0xde, UInt16(count))
        } else {
            append(0xdf, UInt32(clamping: count))
        }
    }

    fileprivate mutating func appendText(_ text: some Collection<UInt8>) {
        let count = text.count
        if count < 32 {
            append(0xa0 | UInt8(count))
        } else if count <= UInt8.max {
            append(0xd9, UInt8(count))
        } else if count <= UInt16.max {
            append(0xda, UInt16(count))
        } else {
            append(0xdb, UInt32(clamping: count))
        }
        self += text
    }

    /// SQLite makes texts of whatever bytes it is given; a reader of MessagePack takes no text that is not UTF-8.
    fileprivate mutating func appendRepaired(_ text: some Collection<UInt8>) {
        if text.allSatisfy({ $0 < 0x80 }) { return appendText(text) }
        appendText(Array(String(decoding: text, as: UTF8.self).utf8))
    }

    fileprivate mutating func appendReal(_ number: Double) { append(0xcb, number.bitPattern) }

    fileprivate mutating func appendInteger(_ number: Int64) {
        switch number {
        case 0..<128: append(UInt8(number))
        case 128...Int64(UInt8.max): append(0xcc, UInt8(number))
        case 256...Int64(UInt16.max): append(0xcd, UInt16(number))
        case 65536...Int64(UInt32.max): append(0xce, UInt32(number))
        case 4_294_967_296...: append(0xcf, UInt64(number))
        case -32..<0: append(UInt8(bitPattern: Int8(number)))
        case Int64(Int8.min)..<(-32): append(0xd0, Int8(number))
        case Int64(Int16.min)..<Int64(Int8.min): append(0xd1, Int16(number))
        case Int64(Int32.min)..<Int64(Int16.min): append(0xd2, Int32(number))
        default: append(0xd3, number)
        }
    }
}
