/// Which requests are served, and by whom.
package struct HTTPRoutes: Sendable {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    struct Route: Sendable {
        let method: String
        let parts: [Substring]
        let bodyBytesMax: Int
        let handler: Handler
    }
    enum Found {
        case route(Route, parameters: [String: String])
        /// The path is served, by these methods.
        case otherMethods([String])
        case nothing
    }
    private var routes: [Route] = []
    private var other: Route?

    package init() {}

    /// Serves `path` by an async function. Of a path of which several fit, the first counts.
    /// - Parameters:
    ///   - path: a part such as `:id` stands for any one part, and is given as a parameter of that name.
    ///   - bodyBytesMax: a request with a longer body is refused with 413.
    package mutating func add(_ method: String, _ path: String, bodyBytesMax: Int = 0, _ handler: @escaping Handler) {
        routes.append(Route(method: method, parts: Self.parts(of: path), bodyBytesMax: bodyBytesMax, handler: handler))
    }

    /// All that is served, in order.
    package var all: [(method: String, path: String)] { routes.map { ($0.method, $0.parts.joined(separator: "/")) } }

    /// Answers requests for paths that are not served.
    package mutating func fallback(_ handler: @escaping Handler) {
        other = Route(method: "GET", parts: [], bodyBytesMax: 0, handler: handler)
    }

    /// Who serves a request. HEAD is served as GET, without its body.
    func find(_ method: String, _ path: String) -> Found {
        let parts = Self.parts(of: path)
        let method = method == "HEAD" ? "GET" : method
        var others: [String] = []
        for route in routes {
            guard let parameters = route.match(parts) else { continue }
            if route.method == method { return .route(route, parameters: parameters) }
            if !others.contains(route.method) { others.append(route.method) }
        }
        if others.isEmpty, method == "GET", let other { return .route(other, parameters: [:]) }
        return others.isEmpty ? .nothing : .otherMethods(others)
    }

    private static func parts(of path: String) -> [Substring] { path.split(separator: "/", omittingEmptySubsequences: false) }
}

extension HTTPRoutes.Route {
    /// The parameters, decoded; nil when it is another path.
    fileprivate func match(_ given: [Substring]) -> [String: String]? {
        guard given.count == parts.count else { return nil }
        var parameters: [String: String] = [:]
        for (part, text) in zip(parts, given) {
            if part.hasPrefix(":") {
                guard !text.isEmpty else { return nil }
                parameters[String(part.dropFirst())] = percentDecoded(text)
            } else if part != text {
                return nil
            }
        }
        return parameters
    }
}
