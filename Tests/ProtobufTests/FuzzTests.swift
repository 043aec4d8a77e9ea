import Protobuf
import SiloAPI
import Testing

/// Random and damaged input to every request of `silo.v1`: an error or a value, never a trap. A value that was read can
/// be written and read again, and is then written the same.
@Suite(.timeLimit(.minutes(10))) struct FuzzTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func neverTraps(seed: UInt64) throws {
        var chance = Chance(seed: seed)
        var read = 0
        let rounds = 30_000 / siloRequests.count
        for _ in 0..<rounds {
            var bytes = fields(&chance, depth: 0)
            for _ in 0..<chance.below(3) { damage(&bytes, &chance) }
            for type in siloRequests where try survives(type, bytes) { read += 1 }
        }
        let cases = rounds * siloRequests.count
        #expect(read > cases / 20 && read < cases, "seed \(seed): \(read) of \(cases) were read, so too little was tried")
    }

    private func survives(_ type: (some Message).Type, _ bytes: [UInt8]) throws -> Bool {
        guard let value = try? type.init(serializedBytes: bytes) else { return false }
        let once = value.serializedBytes()
        let twice = try type.init(serializedBytes: once).serializedBytes()
        #expect(once == twice, "\(type.messageName) \(bytes)")
        return true
    }

    /// Fields with the numbers and types that messages use, as wide as chance has it.
    private func fields(_ chance: inout Chance, depth: Int) -> [UInt8] {
        var writer = Writer()
        for _ in 0..<chance.below(6) {
            let number = chance.below(20) == 0 ? [100, 1000, 536_870_911][chance.below(3)] : 1 + chance.below(12)
            switch chance.below(12) {
            case 0..<3:
                writer.varint(chance.next() >> UInt64(chance.below(64)))
                writer.tag(UInt32(number << 3))
            case 3:
                writer.fixed64(chance.next())
                writer.tag(UInt32(number << 3 | 1))
            case 4:
                writer.fixed32(UInt32(truncatingIfNeeded: chance.next()))
                writer.tag(UInt32(number << 3 | 5))
            case 5..<8 where depth < 4:
                writer.bytes(fields(&chance, depth: depth + 1))
                writer.tag(UInt32(number << 3 | 2))
            default:
                writer.bytes((0..<chance.below(20)).map { _ in UInt8(97 + chance.below(26)) })
                writer.tag(UInt32(number << 3 | 2))
            }
        }
        return writer.bytes()
    }

    private func damage(_ bytes: inout [UInt8], _ chance: inout Chance) {
        guard !bytes.isEmpty else { return }
        let at = chance.below(bytes.count)
        switch chance.below(4) {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: chance.next())
        case 1: bytes.removeLast(at)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: chance.next()), at: at)
        default: bytes[at] |= 0x80
        }
    }
}
