/// Where a server is and how to speak to it, read from what people write: `host:port`, `http://host:port` or `https://host:port`.
///
/// `https` means TLS and `http` means plain text. Without a scheme the caller's options decide, so that a secret never travels in
/// the clear to a server that was named with `https`.
public struct ServerAddress: Hashable, Sendable {
    /// What a channel takes as its target.
    public let target: String
    /// Nil: the address does not say.
    public let isSecure: Bool?

    /// An address that cannot be followed; the text says what to write instead.
    public struct Mistake: Error, Equatable, Sendable, CustomStringConvertible {
        public let description: String
        package init(description: String) { self.description = description }
    }

    /// - Throws: for any other scheme, and for anything behind the port.
    public init(_ text: String) throws(Mistake) {
        guard let end = Self.endOfScheme(text) else {
            guard Self.names(aPortIn: text) else { throw Self.withoutPort(text) }
            target = text
            isSecure = nil
            return
        }
        switch text[..<end.lowerBound].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        case let scheme:
            throw Mistake(
                description: "\(scheme):// is no way to a server: write host:port, http://host:port or https://host:port")
        }
        var rest = text[end.upperBound...]
        if rest.hasSuffix("/") { rest.removeLast() }
        guard !rest.isEmpty, !rest.contains(where: { "/?#@".contains($0) }) else {
            throw Mistake(
                description: "the address \(text) must have a host and a port and nothing behind them, such as https://host:7450")
        }
        guard Self.names(aPortIn: rest) else { throw Self.withoutPort(text) }
        target = String(rest)
    }

    /// Otherwise a port would be made up.
    private static func names(aPortIn address: some StringProtocol) -> Bool {
        address.hasPrefix("unix:") || SocketAddress.split(String(address)).map { $0.port > 0 } ?? false
    }

    private static func withoutPort(_ text: String) -> Mistake {
        Mistake(description: "the address \(text) must end with a port from 1 to 65535: write host:port, such as localhost:7450")
    }

    private static func endOfScheme(_ text: String) -> Range<String.Index>? {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        return colon..<text.index(colon, offsetBy: 3)
    }

    /// How a channel to it is secured.
    /// - Parameter given: TLS that the caller's options ask for.
    /// - Returns: nil for plain text. Without options `https` trusts the authorities of the system.
    /// - Throws: when the address says `http` and the options TLS.
    public func tls(_ given: ClientTLS?) throws(Mistake) -> ClientTLS? {
        switch (isSecure, given) {
        case (false, .some):
            throw Mistake(
                description: "http://\(target) means plain text, and the options ask for TLS: write https://, or leave TLS away")
        case (true, nil): ClientTLS()
        default: given
        }
    }
}
