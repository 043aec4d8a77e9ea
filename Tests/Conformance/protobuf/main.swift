/// Answers the protobuf conformance suite on standard input and output, so that the suite can judge `Sources/Protobuf`
/// and the generator. Each way a message is preceded by its size, as four bytes with the lowest first.
import Glibc
import Protobuf

/// Reads exactly `count` bytes, or nil when the input ends before.
func readBytes(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let got = bytes.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress.map { $0 + filled }, count - filled) }
        guard got > 0 else { return nil }
        filled += got
    }
    return bytes
}

func writeBytes(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        let put = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        guard put > 0 else { return false }
        rest = rest.dropFirst(put)
    }
    return true
}

func answer(_ bytes: [UInt8]) -> Conformance.ConformanceResponse {
    var response = Conformance.ConformanceResponse()
    do {
        response.result = result(of: try Conformance.ConformanceRequest(serializedBytes: bytes))
    } catch {
        response.result = .runtimeError("the request: \(error)")
    }
    return response
}

while let head = readBytes(4), let request = readBytes(head.reversed().reduce(0) { $0 << 8 | Int($1) }) {
    let response = answer(request).serializedBytes()
    let size = (0..<4).map { UInt8(truncatingIfNeeded: response.count >> (8 * $0)) }
    guard writeBytes(size + response) else { break }
}
