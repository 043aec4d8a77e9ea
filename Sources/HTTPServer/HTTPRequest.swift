/// What a client asks for.
package struct HTTPRequest: Sendable {
    /// In capitals, such as `GET`.
    package let method: String
    /// Without the query, as it was sent.
    package let path: String
    /// What stands in the place of the route's `:name` parts, decoded.
    package internal(set) var parameters: [String: String] = [:]
    /// Of the query, decoded, in order.
    package let query: [(name: String, value: String)]
    package let headers: [(name: String, value: String)]
    /// Whole; no longer than the route allows.
    package internal(set) var body: [UInt8] = []
    /// The client's address without its port; empty when it is not known.
    package let address: String

    /// The first value of a header, whose name may be in any case.
    package func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.name.lowercased() == wanted }?.value
    }

    /// The first value of that name in the query.
    package func query(_ name: String) -> String? { query.first { $0.name == name }?.value }
}

/// Decodes `%41` and the like. What is no such thing stays as it is.
func percentDecoded(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(2).map { Character(Unicode.Scalar($0)) }
        if byte == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy(\.isHexDigit),
            let value = UInt8(String(digits), radix: 16)
        {
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
