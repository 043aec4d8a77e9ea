import CSlateDB

// UniFFI passes compound values as one buffer that Rust owns: numbers are big-endian, bytes and texts have a 32-bit length
// before them, an optional has a byte 0 or 1 before it. These few lines replace the generated converters on the hot paths,
// which go through `Data` byte by byte.

extension RustBuffer {
    /// A buffer of `count` bytes that `fill` writes.
    static func filled(_ count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> RustBuffer {
        var status = RustCallStatus()
        var buffer = ffi_slatedb_uniffi_rustbuffer_alloc(UInt64(count), &status)
        buffer.len = UInt64(count)
        if let data = buffer.data { fill(UnsafeMutableRawPointer(data)) }
        return buffer
    }

    /// Bytes as a value of their own.
    static func bytes(_ value: [UInt8]) -> RustBuffer {
        filled(4 + value.count) { target in
            target.storeBytes(of: UInt32(value.count).bigEndian, as: UInt32.self)
            value.withUnsafeBytes { source in
                if let start = source.baseAddress { (target + 4).copyMemory(from: start, byteCount: source.count) }
            }
        }
    }

    /// Bytes that are lowered already.
    static func raw(_ value: [UInt8]) -> RustBuffer {
        filled(value.count) { target in
            value.withUnsafeBytes { source in
                if let start = source.baseAddress { target.copyMemory(from: start, byteCount: source.count) }
            }
        }
    }
}

/// Reads a buffer that Rust returned, and frees it in the end. Every read gives nil past the end.
final class LiftedBytes {
    private let buffer: RustBuffer
    private let content: UnsafeRawBufferPointer
    private var position = 0

    init(_ buffer: RustBuffer) {
        self.buffer = buffer
        content = UnsafeRawBufferPointer(start: buffer.data, count: Int(buffer.len))
    }

    deinit {
        var status = RustCallStatus()
        ffi_slatedb_uniffi_rustbuffer_free(buffer, &status)
    }

    func integer<T: FixedWidthInteger>() -> T? {
        let size = MemoryLayout<T>.size
        guard content.count - position >= size else { return nil }
        defer { position += size }
        return T(bigEndian: content.loadUnaligned(fromByteOffset: position, as: T.self))
    }

    func bytes() -> [UInt8]? {
        guard let length: Int32 = integer(), length >= 0, content.count - position >= Int(length) else { return nil }
        defer { position += Int(length) }
        return [UInt8](UnsafeRawBufferPointer(rebasing: content[position..<position + Int(length)]))
    }

    /// Passes over bytes.
    func skip(_ count: Int) -> Bool {
        guard content.count - position >= count else { return false }
        position += count
        return true
    }

    func text() -> String? {
        bytes().map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether an optional value follows.
    func isPresent() -> Bool? {
        let mark: UInt8? = integer()
        return mark.map { $0 != 0 }
    }

    func rest() -> String {
        String(decoding: content[position...], as: UTF8.self)
    }
}

/// Lowers a compound value that is passed often: written once, copied at each call.
struct Lowered {
    private(set) var bytes: [UInt8] = []

    mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func optional(_ value: [UInt8]?) {
        flag(value != nil)
        guard let value else { return }
        integer(Int32(value.count))
        bytes += value
    }
}
