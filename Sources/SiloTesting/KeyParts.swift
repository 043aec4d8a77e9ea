import SiloCore

/// Reads key parts, with a decoder of its own so that a mistake in the engine's shows.
struct KeyParts {
    private var rest: ArraySlice<UInt8>

    init(_ key: Bytes, skipping count: Int) {
        rest = key.dropFirst(count)
    }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func skip(_ count: Int) { rest = rest.dropFirst(count) }

    mutating func number() -> UInt64 {
        (0..<8).reduce(0) { sum, _ in sum << 8 | UInt64(byte()) }
    }

    mutating func bytes(_ count: Int) -> Bytes { (0..<count).map { _ in byte() } }

    mutating func text() -> Bytes {
        var content = Bytes()
        while let byte = rest.popFirst() {
            guard byte == 0 else {
                content.append(byte)
                continue
            }
            if rest.popFirst() == 1 { break }
            content.append(0)
        }
        return content
    }
}
