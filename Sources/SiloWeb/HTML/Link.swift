/// An address on this site, with its query. Never one elsewhere, whatever it is made from.
package struct Link: Sendable, Equatable {
    let text: String

    /// - Parameters:
    ///   - path: begins with a slash; it is encoded but for its slashes.
    ///   - query: what is nil or empty is left out.
    init(_ path: String, _ query: [(String, String?)] = []) {
        var text = "/" + Self.encoded(String(path.drop { $0 == "/" }), keeping: UInt8(ascii: "/"))
        var mark = "?"
        for case (let name, let value?) in query where !value.isEmpty {
            text += mark + Self.encoded(name) + "=" + Self.encoded(value)
            mark = "&"
        }
        self.text = text
    }

    /// An address that came with a request, such as where to go on; nil when it leads elsewhere.
    init?(local text: String) {
        let bytes = Array(text.utf8)
        let isSafe = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }
        guard bytes.first == UInt8(ascii: "/"), !bytes.dropFirst().starts(with: [UInt8(ascii: "/")]), isSafe, bytes.count <= 4096
        else { return nil }
        self.text = text
    }

    /// The same, of a page that was asked for.
    init(of request: some Sequence<(name: String, value: String)>, path: String) {
        self.init(path, request.map { ($0.name, $0.value) })
    }

    private static func encoded(_ text: String, keeping kept: UInt8? = nil) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case kept: result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }
}
