import HTTPServer

/// Where a request comes from, as far as a browser tells.
struct Origin {
    private let request: HTTPRequest

    init(_ request: HTTPRequest) { self.request = request }

    /// A page of this site sent it. No page elsewhere can make a browser say so.
    var isOwn: Bool {
        if let site = request.header("Sec-Fetch-Site") { return site == "same-origin" }
        guard let origin = request.header("Origin"), let host = request.header("Host"), !host.isEmpty else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Somebody followed a link on another site: the browser keeps back cookies that are for this site alone.
    var isLinkFromElsewhere: Bool {
        guard let site = request.header("Sec-Fetch-Site") else { return false }
        return (site == "cross-site" || site == "same-site") && request.method == "GET"
    }

    /// It was made on this machine, under one of its own names: a page elsewhere whose name was made to lead here has another.
    var isThisMachine: Bool { Self.isLoopback(request.address) && Self.isLoopbackName(request.header("Host") ?? "") }

    private static func isLoopback(_ address: String) -> Bool {
        address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }

    private static func isLoopbackName(_ host: String) -> Bool {
        let name = host.hasPrefix("[") ? host.prefix { $0 != "]" }.dropFirst() : host.prefix { $0 != ":" }
        return name == "localhost" || name.hasSuffix(".localhost") || isLoopback(String(name)) && !name.contains { $0.isLetter }
    }
}
