/// The payload of a job: a MessagePack map of a set size that says when the job was sent.
///
/// `{"at": <nanoseconds, uint 64>, "fill": <bytes>}`
struct Payload: Sendable {
    /// The least size, in bytes.
    static let bytesMin = head.count + 8 + middle.count

    private static let head: [UInt8] = [0x82, 0xa2] + Array("at".utf8) + [0xcf]
    private static let middle: [UInt8] = [0xa4] + Array("fill".utf8) + [0xc6, 0, 0, 0, 0]
    private let template: [UInt8]

    /// - Parameter bytes: the size; at least `bytesMin`.
    init(bytes: Int) {
        let fill = max(0, bytes - Self.bytesMin)
        let size = withUnsafeBytes(of: UInt32(fill).bigEndian) { Array($0) }
        // Bytes that do not compress, the same in every run.
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        let noise = (0..<fill).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        template = Self.head + [UInt8](repeating: 0, count: 8) + Self.middle.dropLast(4) + size + noise
    }

    func bytes(sent: Instant) -> [UInt8] {
        var bytes = template
        withUnsafeBytes(of: sent.nanoseconds.bigEndian) { time in
            for (index, byte) in time.enumerated() { bytes[Self.head.count + index] = byte }
        }
        return bytes
    }

    /// When a job with this payload was sent; nil for a job that this program did not make.
    static func sent(in bytes: [UInt8]) -> Instant? {
        guard bytes.count >= bytesMin, bytes.starts(with: head) else { return nil }
        return Instant(nanoseconds: bytes[head.count..<head.count + 8].reduce(0) { $0 << 8 | UInt64($1) })
    }
}
