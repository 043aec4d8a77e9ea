/// Reads a MessagePack document from its beginning. Nil: it ends too early.
struct PackedBytes {
    private let all: UnsafeRawBufferPointer
    private var position: Int
    private let end: Int
    /// All texts so far are of ASCII alone.
    private(set) var isASCII = true

    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        all = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { position == end }

    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: all[range]) }

    func precedes(_ left: Range<Int>, _ right: Range<Int>) -> Bool { bytes(left).lexicographicallyPrecedes(bytes(right)) }

    mutating func byte() -> UInt8? {
        guard position < end else { return nil }
        defer { position += 1 }
        return all[position]
    }

    /// A big-endian number of so many bytes.
    mutating func number(_ width: Int) -> UInt64? {
        guard width <= end - position else { return nil }
        var number: UInt64 = 0
        for index in position..<position + width { number = number << 8 | UInt64(all[index]) }
        position += width
        return number
    }

    mutating func signed(_ width: Int) -> Int64? {
        number(width).map { Int64(bitPattern: $0 << UInt64(64 - 8 * width)) >> Int64(64 - 8 * width) }
    }

    /// How many items follow, of which each has a byte at least.
    mutating func count(_ width: Int) -> Int? {
        number(width).map { Int(clamping: $0) }.flatMap { $0 <= end - position ? $0 : nil }
    }

    /// Where the text of a head lies; nil: it is none.
    mutating func string(_ head: UInt8) -> Range<Int>? {
        let length: Int?
        switch head {
        case 0xa0...0xbf: length = Int(head & 31)
        case 0xd9...0xdb: length = count(1 << Int(head - 0xd9))
        default: return nil
        }
        guard let length, length <= end - position else { return nil }
        let content = position..<position + length
        position = content.upperBound
        if isASCII { isASCII = bytes(content).reduce(0, |) < 0x80 }
        return content
    }
}
