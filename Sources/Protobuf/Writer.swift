/// Writes the protobuf wire format from its end to its start, so that the length of a nested message is known when it
/// has to be written, in one pass and without a size computed before.
///
/// Whoever writes a message writes its last field first, and of each field the value before the tag.
public struct Writer: ~Copyable {
    @usableFromInline var storage: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    /// What is written fills the last `count` bytes of the storage.
    public private(set) var count = 0

    public init() {
        capacity = 256
        storage = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit { storage.deallocate() }

    /// All that was written.
    public func bytes() -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: storage + (capacity - count), count: count))
    }

    /// Room for `size` bytes in front of what is written.
    @usableFromInline
    mutating func prepend(_ size: Int) -> UnsafeMutableRawPointer {
        if capacity - count < size { grow(size) }
        count += size
        return storage + (capacity - count)
    }

    private mutating func grow(_ size: Int) {
        let larger = max(capacity * 2, count + size)
        let target = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        (target + (larger - count)).copyMemory(from: storage + (capacity - count), byteCount: count)
        storage.deallocate()
        storage = target
        capacity = larger
    }

    public mutating func varint(_ value: UInt64) {
        let size = value < 0x80 ? 1 : (70 - value.leadingZeroBitCount) / 7
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

    @inlinable
    public mutating func string(_ value: String) {
        var value = value
        let size = value.withUTF8 { utf8 in
            raw(UnsafeRawBufferPointer(utf8))
            return utf8.count
        }
        varint(UInt64(size))
    }
}
