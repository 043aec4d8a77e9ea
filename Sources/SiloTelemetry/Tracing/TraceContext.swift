/// Names a trace: 16 bytes, not all zero.
public struct TraceID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    /// Nil: all zero, which names nothing.
    public init?(high: UInt64, low: UInt64) {
        guard high | low != 0 else { return nil }
        (self.high, self.low) = (high, low)
    }

    public var bytes: [UInt8] { high.bytes + low.bytes }
}

/// Names a span within its trace: 8 bytes, not all zero.
public struct SpanID: Hashable, Sendable {
    public let value: UInt64

    /// Nil: zero, which names nothing.
    public init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    public var bytes: [UInt8] { value.bytes }
}

/// A span as others refer to it, in this process or another: what the headers `traceparent` and `tracestate` carry (W3C Trace
/// Context).
public struct TraceContext: Hashable, Sendable {
    public let trace: TraceID
    public let span: SpanID
    /// Whoever made it records it, and whoever comes after should.
    public let isSampled: Bool
    /// What tracing systems pass along with it, a `tracestate`; empty: nothing. At most 512 bytes.
    public let state: String

    /// What is done in this task is done for; nil: for nobody who traces. The client library sends it with its calls and jobs,
    /// and sets it for the handlers of a worker.
    @TaskLocal public static var current: TraceContext?

    /// - Parameter state: what is not valid, or too much, is left out.
    public init(trace: TraceID, span: SpanID, isSampled: Bool, state: String = "") {
        self.trace = trace
        self.span = span
        self.isSampled = isSampled
        self.state = state.isEmpty ? "" : TraceState.checked(state)
    }

    /// Reads the value of a `traceparent` header. Nil for one that is not valid, which is to be treated as if none had come.
    ///
    /// A version of the format that is not known yet is read as far as it is known.
    /// - Parameter state: the value of a `tracestate` header, which counts as none where it is not valid.
    public init?(_ header: some StringProtocol, state: String = "") { self.init(Array(header.utf8), state: state) }

    public init?(_ header: [UInt8], state: String = "") {
        let dashes = [2, 35, 52]
        guard header.count >= Self.length, dashes.allSatisfy({ header[$0] == UInt8(ascii: "-") }),
            let version = UInt8(lowerHex: header[0..<2]), version != 0xff,
            header.count == Self.length || version > 0 && header[Self.length] == UInt8(ascii: "-"),
            let high = UInt64(lowerHex: header[3..<19]), let low = UInt64(lowerHex: header[19..<35]),
            let trace = TraceID(high: high, low: low),
            let value = UInt64(lowerHex: header[36..<52]), let span = SpanID(value),
            let flags = UInt8(lowerHex: header[53..<55])
        else { return nil }
        self.init(trace: trace, span: span, isSampled: flags & 1 == 1, state: state)
    }

    /// Bytes of a header of the known version.
    private static let length = 55

    /// The value of a `traceparent` header.
    public var header: String { "00-\(trace)-\(span)-\(isSampled ? "01" : "00")" }
}

extension TraceContext {
    /// Of one that is sampled: its two names, 24 bytes, and its state.
    public var storedBytes: [UInt8] { trace.bytes + span.bytes + Array(state.utf8) }

    /// Nil for what `storedBytes` does not make.
    public init?(storedBytes bytes: [UInt8]) {
        guard bytes.count >= 24, let trace = TraceID(high: .init(bytes[0..<8]), low: .init(bytes[8..<16])),
            let span = SpanID(.init(bytes[16..<24]))
        else { return nil }
        self.init(trace: trace, span: span, isSampled: true, state: String(decoding: bytes[24...], as: UTF8.self))
    }
}

extension TraceID: CustomStringConvertible {
    public var description: String { high.lowerHex + low.lowerHex }
}

extension SpanID: CustomStringConvertible {
    public var description: String { value.lowerHex }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// Nil for anything but as many digits as the type has; capitals are none.
    fileprivate init?(lowerHex digits: ArraySlice<UInt8>) {
        guard digits.count == Self.bitWidth / 4 else { return nil }
        var value: Self = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | Self(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | Self(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        self = value
    }
}

extension UInt64 {
    fileprivate var lowerHex: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    fileprivate var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * $0)) } }

    /// The first byte counts most.
    fileprivate init(_ bytes: ArraySlice<UInt8>) { self = bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
