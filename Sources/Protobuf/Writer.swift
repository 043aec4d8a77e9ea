/// Writes the protobuf wire format from its end to its start, so that the length of a nested message is known when it
/// has to be written, in one pass and without a size computed before.
///
/// Whoever writes a message writes its last field first, and of each field the value before the tag.
public struct Writer: ~Copyable {
    @usableFromInline var storage: UnsafeMutableRawPointer
    /// What is written lies between here and the end of the storage.
    @usableFromInline var start: UnsafeMutableRawPointer
    @usableFromInline var end: UnsafeMutableRawPointer

    public init() {
        let capacity = 512
        storage = .allocate(byteCount: capacity, alignment: 8)
        end = storage + capacity
        start = end
    }

    deinit { storage.deallocate() }

    /// The size of what is written so far.
    @inlinable public var count: Int { end - start }

    /// All that was written.
    public func bytes() -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Room for `size` bytes in front of what is written.
    @inlinable
    mutating func prepend(_ size: Int) -> UnsafeMutableRawPointer {
        if start - storage < size { grow(size) }
        start -= size
        return start
    }

    @usableFromInline
    mutating func grow(_ size: Int) {
        let count = count
        let capacity = max((end - storage) * 2, count + size)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        end = larger + capacity
        (end - count).copyMemory(from: start, byteCount: count)
        start = end - count
        storage.deallocate()
        storage = larger
    }

    @inlinable
    public mutating func varint(_ value: UInt64) {
        guard value < 0x80 else { return longVarint(value) }
        prepend(1).storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    }

    @usableFromInline
    mutating func longVarint(_ value: UInt64) {
        // Seven bits go in a byte: the significant bits, rounded up.
        let size = (70 - value.leadingZeroBitCount) / 7
        let target = prepend(size)
        var rest = value
        for index in 0..<(size - 1) {
            target.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: index, as: UInt8.self)
            rest >>= 7
        }
        target.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: size - 1, as: UInt8.self)
    }

    @inlinable
    mutating func fixed<Value: FixedWidthInteger>(_ value: Value) {
        prepend(MemoryLayout<Value>.size).storeBytes(of: value.littleEndian, as: Value.self)
    }

    @usableFromInline
    mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        prepend(bytes.count).copyMemory(from: start, byteCount: bytes.count)
    }

    @inlinable public mutating func tag(_ tag: UInt32) { varint(UInt64(tag)) }

    /// Puts the length before what `body` writes.
    @inlinable
    public mutating func delimited(_ body: (inout Writer) -> Void) {
        let before = count
        body(&self)
        varint(UInt64(count - before))
    }

    @inlinable
    public mutating func message<M: Message>(_ message: M) {
        delimited { writer in message.write(to: &writer) }
    }

    public mutating func unknown(_ fields: UnknownFields) {
        fields.bytes.withUnsafeBytes { raw($0) }
    }
}

/// One function for each scalar type of the schema language.
extension Writer {
    @inlinable public mutating func uint64(_ value: UInt64) { varint(value) }
    @inlinable public mutating func int64(_ value: Int64) { varint(UInt64(bitPattern: value)) }
    @inlinable public mutating func uint32(_ value: UInt32) { varint(UInt64(value)) }
    @inlinable public mutating func int32(_ value: Int32) { varint(UInt64(bitPattern: Int64(value))) }
    @inlinable public mutating func bool(_ value: Bool) { varint(value ? 1 : 0) }
    @inlinable public mutating func fixed64(_ value: UInt64) { fixed(value) }
    @inlinable public mutating func fixed32(_ value: UInt32) { fixed(value) }
    @inlinable public mutating func sfixed64(_ value: Int64) { fixed(value) }
    @inlinable public mutating func sfixed32(_ value: Int32) { fixed(value) }
    @inlinable public mutating func double(_ value: Double) { fixed(value.bitPattern) }
    @inlinable public mutating func float(_ value: Float) { fixed(value.bitPattern) }
    @inlinable public mutating func enumeration<E: Enumeration>(_ value: E) { int32(value.rawValue) }

    @inlinable
    public mutating func sint64(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    @inlinable
    public mutating func sint32(_ value: Int32) { varint(UInt64(UInt32(bitPattern: (value << 1) ^ (value >> 31)))) }

    @inlinable
    public mutating func bytes(_ value: [UInt8]) {
        value.withUnsafeBytes { raw($0) }
        varint(UInt64(value.count))
    }

    public mutating func string(_ value: String) {
        var value = value
        let size = value.withUTF8 { utf8 in
            raw(UnsafeRawBufferPointer(utf8))
            return utf8.count
        }
        varint(UInt64(size))
    }
}
