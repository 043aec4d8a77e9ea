/// A value as MessagePack holds it (https://github.com/msgpack/msgpack/blob/master/spec.md): what payloads, results and the rows
/// of SQL statements are made of.
indirect enum MessagePack: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case text(String)
    case bytes([UInt8])
    case array([MessagePack])
    case map([(key: MessagePack, value: MessagePack)])
    case other(type: Int8, [UInt8])

    /// Why bytes are no such value.
    struct Malformed: Error {}

    /// One value that fills the bytes.
    /// - Parameters:
    ///   - nestedMax: how deep arrays and maps may lie in one another.
    ///   - valuesMax: how many values there may be, all together.
    init(_ bytes: [UInt8], nestedMax: Int = 64, valuesMax: Int = 1_000_000) throws(Malformed) {
        var reader = Reader(bytes: bytes, valuesLeft: valuesMax)
        self = try reader.value(nestedMax)
        guard reader.isAtEnd else { throw Malformed() }
    }

    static func == (left: MessagePack, right: MessagePack) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.int(let left), .int(let right)): left == right
        case (.uint(let left), .uint(let right)): left == right
        case (.double(let left), .double(let right)): left == right
        case (.text(let left), .text(let right)): left == right
        case (.bytes(let left), .bytes(let right)): left == right
        case (.array(let left), .array(let right)): left == right
        case (.map(let left), .map(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.key == $1.key && $0.value == $1.value }
        case (.other(let leftType, let left), .other(let rightType, let right)): leftType == rightType && left == right
        default: false
        }
    }

    var text: String? { if case .text(let text) = self { text } else { nil } }
    var int: Int64? {
        switch self {
        case .int(let number): number
        case .uint(let number): Int64(exactly: number)
        default: nil
        }
    }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
}

/// Reads from the front.
private struct Reader {
    let bytes: [UInt8]
    var valuesLeft: Int
    private var at = 0

    init(bytes: [UInt8], valuesLeft: Int) {
        self.bytes = bytes
        self.valuesLeft = valuesLeft
    }

    var isAtEnd: Bool { at == bytes.count }

    mutating func value(_ nestedMax: Int) throws(MessagePack.Malformed) -> MessagePack {
        valuesLeft -= 1
        guard valuesLeft >= 0, nestedMax >= 0 else { throw .init() }
        let first = try byte()
        switch first {
        case 0x00...0x7f: return .int(Int64(first))
        case 0x80...0x8f: return try map(Int(first & 0x0f), nestedMax)
        case 0x90...0x9f: return try array(Int(first & 0x0f), nestedMax)
        case 0xa0...0xbf: return try text(Int(first & 0x1f))
        case 0xe0...0xff: return .int(Int64(Int8(bitPattern: first)))
        case 0xc0: return .null
        case 0xc2, 0xc3: return .bool(first == 0xc3)
        case 0xc4, 0xc5, 0xc6: return .bytes(try take(try length(first - 0xc4)))
        case 0xc7, 0xc8, 0xc9: return try other(try length(first - 0xc7))
        case 0xca: return .double(Double(Float(bitPattern: UInt32(try number(4)))))
        case 0xcb: return .double(Double(bitPattern: try number(8)))
        case 0xcc, 0xcd, 0xce, 0xcf: return unsigned(try number(1 << Int(first - 0xcc)))
        case 0xd0: return .int(Int64(Int8(truncatingIfNeeded: try number(1))))
        case 0xd1: return .int(Int64(Int16(truncatingIfNeeded: try number(2))))
        case 0xd2: return .int(Int64(Int32(truncatingIfNeeded: try number(4))))
        case 0xd3: return .int(Int64(bitPattern: try number(8)))
        case 0xd4...0xd8: return try other(1 << Int(first - 0xd4))
        case 0xd9, 0xda, 0xdb: return try text(try length(first - 0xd9))
        case 0xdc, 0xdd: return try array(try length(first - 0xdc + 1), nestedMax)
        case 0xde, 0xdf: return try map(try length(first - 0xde + 1), nestedMax)
        default: throw .init()
        }
    }

    private func unsigned(_ number: UInt64) -> MessagePack { Int64(exactly: number).map { .int($0) } ?? .uint(number) }

    private mutating func byte() throws(MessagePack.Malformed) -> UInt8 {
        guard at < bytes.count else { throw .init() }
        defer { at += 1 }
        return bytes[at]
    }

    /// Of 1, 2 or 4 bytes, by their power.
    private mutating func length(_ power: UInt8) throws(MessagePack.Malformed) -> Int { Int(try number(1 << Int(power))) }

    private mutating func number(_ count: Int) throws(MessagePack.Malformed) -> UInt64 {
        try take(count).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func take(_ count: Int) throws(MessagePack.Malformed) -> [UInt8] {
        guard count <= bytes.count - at else { throw .init() }
        defer { at += count }
        return Array(bytes[at..<at + count])
    }

    private mutating func text(_ count: Int) throws(MessagePack.Malformed) -> MessagePack {
        .text(String(decoding: try take(count), as: UTF8.self))
    }

    private mutating func other(_ count: Int) throws(MessagePack.Malformed) -> MessagePack {
        let type = Int8(bitPattern: try byte())
        return .other(type: type, try take(count))
    }

    private mutating func array(_ count: Int, _ nestedMax: Int) throws(MessagePack.Malformed) -> MessagePack {
        guard count <= bytes.count - at else { throw .init() }
        var values: [MessagePack] = []
        for _ in 0..<count { values.append(try value(nestedMax - 1)) }
        return .array(values)
    }

    private mutating func map(_ count: Int, _ nestedMax: Int) throws(MessagePack.Malformed) -> MessagePack {
        guard count <= (bytes.count - at) / 2 else { throw .init() }
        var pairs: [(key: MessagePack, value: MessagePack)] = []
        for _ in 0..<count { pairs.append((try value(nestedMax - 1), try value(nestedMax - 1))) }
        return .map(pairs)
    }
}
