import Protobuf

/// SplitMix64: the same seed gives the same numbers.
struct Chance: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}

/// A message that holds itself, for tests of depth.
struct Nest: Message {
    static var messageName: String { "test.Nest" }
    var inner: Indirect<Nest>?
    var unknownFields = UnknownFields()

    mutating func merge(from reader: inout Reader) throws(DecodingError) {
        while let tag = try reader.nextTag() {
            switch tag {
            case 10: try reader.message(&inner)
            default: try reader.unknown(tag, &unknownFields)
            }
        }
    }

    func write(to writer: inout Writer) {
        writer.unknown(unknownFields)
        if let inner {
            writer.message(inner.value)
            writer.tag(10)
        }
    }
}
