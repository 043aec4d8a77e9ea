import CMicroHTTPD
import Glibc
import Synchronization

/// What the library's callbacks work with.
final class HTTPCore: Sendable {
    let options: HTTPServerOptions
    let connections = Connections()
    private let routes: HTTPRoutes
    private let exchanges = Atomic(0)
    private let closing = Atomic(false)

    init(_ options: HTTPServerOptions, _ routes: HTTPRoutes) {
        self.options = options
        self.routes = routes
    }

    /// Requests that have come in and whose answers have not left.
    var running: Int { exchanges.load(ordering: .relaxed) }

    /// Connections are closed after the request in hand.
    var isClosing: Bool { closing.load(ordering: .relaxed) }
    func close() { closing.store(true, ordering: .relaxed) }

    // MARK: The library's callbacks

    func fill(_ settings: inout chttp_settings) {
        settings.context = Unmanaged.passUnretained(self).toOpaque()
        settings.request = { context, connection, path, method, _, data, size, slot in
            guard let core = HTTPCore.of(context), let connection, let path, let method, let size, let slot else { return .NO }
            guard let owner = slot.pointee else {
                let exchange = core.begin(Connection(pointer: connection), String(cString: method), String(cString: path))
                slot.pointee = Unmanaged.passRetained(exchange).toOpaque()
                // One that is refused need not send its body.
                return exchange.isRefused ? exchange.proceed() : .YES
            }
            let exchange = Unmanaged<Exchange>.fromOpaque(owner).takeUnretainedValue()
            guard size.pointee > 0 else { return exchange.proceed() }
            exchange.receive(UnsafeRawBufferPointer(start: data, count: size.pointee))
            size.pointee = 0
            return .YES
        }
        settings.completed = { context, _, slot, _ in
            guard let core = HTTPCore.of(context), let owner = slot?.pointee else { return }
            slot?.pointee = nil
            Unmanaged<Exchange>.fromOpaque(owner).takeRetainedValue().ended()
            core.exchanges.subtract(1, ordering: .relaxed)
        }
        settings.connection = { context, pointer, _, event in
            guard let core = HTTPCore.of(context), let pointer else { return }
            let connection = Connection(pointer: pointer)
            if event == .CONNECTION_NOTIFY_STARTED {
                core.connections.opened(connection, within: core.options.requestTime)
            } else {
                core.connections.closed(connection)
            }
        }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> HTTPCore? {
        context.map { Unmanaged<HTTPCore>.fromOpaque($0).takeUnretainedValue() }
    }

    /// The headers of a request have come in.
    private func begin(_ connection: Connection, _ method: String, _ path: String) -> Exchange {
        exchanges.add(1, ordering: .relaxed)
        var request = HTTPRequest(
            method: method, path: path,
            query: Self.values(connection, .GET_ARGUMENT_KIND).map { (percentDecoded($0), percentDecoded($1)) },
            headers: Self.values(connection, .HEADER_KIND), address: Self.address(connection))
        switch routes.find(method, path) {
        case .nothing: return refused(connection, request, .refusal(404, "there is nothing at this path"))
        case .otherMethods(let methods):
            var refusal = HTTPResponse.refusal(405, "this path takes \(methods.joined(separator: ", "))")
            refusal.headers.append(("Allow", methods.joined(separator: ", ")))
            return refused(connection, request, refusal)
        case .route(let route, let parameters):
            let length = request.header("Content-Length").flatMap { Int($0) } ?? 0
            guard length <= route.bodyBytesMax else {
                return refused(connection, request, .refusal(413, "the body may have \(route.bodyBytesMax) bytes"))
            }
            request.parameters = parameters
            return Exchange(self, connection, request, to: route)
        }
    }

    private func refused(_ connection: Connection, _ request: HTTPRequest, _ refusal: HTTPResponse) -> Exchange {
        Exchange(self, connection, request, refusal: refusal)
    }

    private static func values(_ connection: Connection, _ kind: MHD_ValueKind) -> [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        withUnsafeMutablePointer(to: &values) { list in
            _ = MHD_get_connection_values(
                connection.pointer, kind,
                { list, _, name, value in
                    guard let list, let name else { return .YES }
                    let values = list.assumingMemoryBound(to: [(name: String, value: String)].self)
                    values.pointee.append((String(cString: name), value.map { String(cString: $0) } ?? ""))
                    return .YES
                }, list)
        }
        return values
    }

    private static func address(_ connection: Connection) -> String {
        guard let address = chttp_peer(connection.pointer) else { return "" }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let length = Int32(address.pointee.sa_family) == AF_INET6
            ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        let failure = getnameinfo(address, socklen_t(length), &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
        guard failure == 0 else { return "" }
        return String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
