/// Reads the protobuf wire format (protobuf.dev/programming-guides/encoding) from bytes that outlive it.
///
/// Every length is checked against what is left before it is used: wrong input gives an error, never a trap.
public struct Reader {
    /// Messages and groups may be nested this deep.
    public static let depthMax = 100

    @usableFromInline var position: UnsafeRawPointer
    @usableFromInline let end: UnsafeRawPointer
    @usableFromInline let depth: Int
    /// How many more nested messages and map entries are read: two bytes of input can become hundreds in memory.
    @usableFromInline var nestedLeft: Int
    /// Where the field that is being read begins, for keeping it whole when it is unknown.
    @usableFromInline var fieldStart: UnsafeRawPointer

    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer, nestedMax: Int = .max) {
        // An empty buffer may have no address; any pointer serves, for nothing is read.
        let start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        self.init(start, start + bytes.count, depth: 0, nestedLeft: nestedMax)
    }

    @inlinable
    init(_ start: UnsafeRawPointer, _ end: UnsafeRawPointer, depth: Int, nestedLeft: Int) {
        position = start
        fieldStart = start
        self.end = end
        self.depth = depth
        self.nestedLeft = nestedLeft
    }

    @usableFromInline var left: Int { @inlinable get { end - position } }

    /// The next field's tag (number << 3 | wire type), or nil at the end.
    @inlinable
    public mutating func nextTag() throws(DecodingError) -> UInt32? {
        guard position < end else { return nil }
        fieldStart = position
        let first = position.load(as: UInt8.self)
        guard first >= 8, first < 0x80 else { return try longTag() }
        position += 1
        return UInt32(first)
    }

    @usableFromInline
    mutating func longTag() throws(DecodingError) -> UInt32 {
        let tag = try varint()
        guard tag >= 8, tag <= UInt64(UInt32.max), position - fieldStart <= 5 else { throw .malformedTag }
        return UInt32(truncatingIfNeeded: tag)
    }

    @inlinable
    public mutating func varint() throws(DecodingError) -> UInt64 {
        guard position < end else { throw .truncated }
        let first = position.load(as: UInt8.self)
        if first < 0x80 {
            position += 1
            return UInt64(first)
        }
        return try longVarint()
    }

    @usableFromInline
    mutating func longVarint() throws(DecodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 70 {
            guard position < end else { throw .truncated }
            let byte = position.load(as: UInt8.self)
            position += 1
            // Of the tenth byte one bit counts; as in the other implementations, the rest is dropped.
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .malformedInteger
    }

    @inlinable
    mutating func fixed<Value: FixedWidthInteger>(_: Value.Type) throws(DecodingError) -> Value {
        guard left >= MemoryLayout<Value>.size else { throw .truncated }
        let value = position.loadUnaligned(as: Value.self)
        position += MemoryLayout<Value>.size
        return Value(littleEndian: value)
    }

    /// The bytes of a length-delimited field.
    @inlinable
    mutating func chunk() throws(DecodingError) -> UnsafeRawBufferPointer {
        let length = try varint()
        guard length <= UInt64(left) else { throw .truncated }
        let chunk = UnsafeRawBufferPointer(start: position, count: Int(length))
        position += Int(length)
        return chunk
    }

    /// Reads a nested message with `body`.
    @inlinable
    public mutating func nested(_ body: (inout Reader) throws(DecodingError) -> Void) throws(DecodingError) {
        guard depth + 1 < Reader.depthMax else { throw .tooDeep }
        guard nestedLeft > 0 else { throw .tooMany }
        let chunk = try chunk()
        var reader = Reader(position - chunk.count, position, depth: depth + 1, nestedLeft: nestedLeft - 1)
        try body(&reader)
        nestedLeft = reader.nestedLeft
    }

    /// Reads a nested message into one that may already be there.
    @inlinable
    public mutating func message<M: Message>(_ message: inout M) throws(DecodingError) {
        try nested { reader throws(DecodingError) in try message.merge(from: &reader) }
    }

    @inlinable
    public mutating func message<M: Message>(_ message: inout M?) throws(DecodingError) {
        var value = message ?? M()
        message = nil
        try self.message(&value)
        message = value
    }

    @inlinable
    public mutating func message<M: Message>(_ message: inout Indirect<M>?) throws(DecodingError) {
        var value = message?.value ?? M()
        try self.message(&value)
        message = Indirect(value)
    }

    /// Reads a packed list.
    @inlinable
    public mutating func packed<Value>(
        _ list: inout [Value], _ element: (inout Reader) throws(DecodingError) -> Value
    ) throws(DecodingError) {
        let chunk = try chunk()
        var reader = Reader(position - chunk.count, position, depth: depth, nestedLeft: 0)
        while reader.position < reader.end { list.append(try element(&reader)) }
    }

    /// Steps over a field that the schema does not name, and keeps its bytes.
    public mutating func unknown(_ tag: UInt32, _ fields: inout UnknownFields) throws(DecodingError) {
        let start = fieldStart
        try skip(tag, depth: depth)
        fields.bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: position - start))
    }

    private mutating func skip(_ tag: UInt32, depth: Int) throws(DecodingError) {
        switch tag & 7 {
        case 0: _ = try varint()
        case 1: _ = try fixed(UInt64.self)
        case 2: _ = try chunk()
        case 3: try skipGroup(tag, depth: depth + 1)
        case 4: throw .unbalancedGroup
        case 5: _ = try fixed(UInt32.self)
        default: throw .malformedTag
        }
    }

    private mutating func skipGroup(_ start: UInt32, depth: Int) throws(DecodingError) {
        guard depth < Reader.depthMax else { throw .tooDeep }
        while let tag = try nextTag() {
            if tag & 7 == 4 {
                guard tag >> 3 == start >> 3 else { throw .unbalancedGroup }
                return
            }
            try skip(tag, depth: depth)
        }
        throw .truncated
    }
}

/// One function for each scalar type of the schema language.
extension Reader {
    @inlinable public mutating func uint64() throws(DecodingError) -> UInt64 { try varint() }
    @inlinable public mutating func int64() throws(DecodingError) -> Int64 { Int64(bitPattern: try varint()) }
    @inlinable public mutating func uint32() throws(DecodingError) -> UInt32 { UInt32(truncatingIfNeeded: try varint()) }
    @inlinable public mutating func int32() throws(DecodingError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }
    @inlinable public mutating func bool() throws(DecodingError) -> Bool { try varint() != 0 }
    @inlinable public mutating func fixed64() throws(DecodingError) -> UInt64 { try fixed(UInt64.self) }
    @inlinable public mutating func fixed32() throws(DecodingError) -> UInt32 { try fixed(UInt32.self) }
    @inlinable public mutating func sfixed64() throws(DecodingError) -> Int64 { try fixed(Int64.self) }
    @inlinable public mutating func sfixed32() throws(DecodingError) -> Int32 { try fixed(Int32.self) }
    @inlinable public mutating func double() throws(DecodingError) -> Double { Double(bitPattern: try fixed(UInt64.self)) }
    @inlinable public mutating func float() throws(DecodingError) -> Float { Float(bitPattern: try fixed(UInt32.self)) }
    @inlinable public mutating func bytes() throws(DecodingError) -> [UInt8] { Array(try chunk()) }

    @inlinable
    public mutating func sint64() throws(DecodingError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    @inlinable
    public mutating func sint32() throws(DecodingError) -> Int32 {
        let value = try uint32()
        return Int32(bitPattern: value >> 1) ^ -Int32(bitPattern: value & 1)
    }

    public mutating func string() throws(DecodingError) -> String {
        let chunk = try chunk()
        // `String(validating:)` is three times as slow, so it is left to texts that need it.
        if isASCII(chunk) { return String(decoding: chunk, as: UTF8.self) }
        guard let text = String(validating: chunk, as: UTF8.self) else { throw .invalidText }
        return text
    }

    private func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        var seen: UInt64 = 0
        while bytes.count - offset >= 8 {
            seen |= bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < bytes.count {
            seen |= UInt64(bytes[offset])
            offset += 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }

    @inlinable
    public mutating func enumeration<E: Enumeration>() throws(DecodingError) -> E { E(rawValue: try int32()) }
}
