import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloTelemetry
import Synchronization

/// The ways of a client to its servers, one to each address.
final class Connections: Sendable {
    /// Makes the way to a server; nil TLS means plain text.
    typealias Connect = @Sendable (_ target: String, _ tls: ClientTLS?) -> any Transport

    private struct State {
        /// By their targets.
        var links: [String: Link] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())
    private let options: ClientOptions
    private let headers: Metadata
    private let clock: any Clock
    private let connect: Connect
    /// Some seed asks for TLS: then no server is spoken to in plain text, however it names itself.
    private let isSecure: Bool

    init(_ options: ClientOptions, clock: any Clock, connect: @escaping Connect) {
        self.options = options
        self.clock = clock
        self.connect = connect
        isSecure = options.tls != nil || options.servers.contains { (try? ServerAddress($0))?.isSecure == true }
        var headers = Metadata()
        if let token = options.token { headers.append("authorization", "Bearer \(token)") }
        self.headers = headers
    }

    /// Over the network.
    static func channels(_ options: ClientOptions) -> Connect {
        { target, tls in
            var channel = ChannelOptions()
            channel.tls = tls
            channel.keepaliveInterval = options.keepaliveInterval
            channel.keepaliveTimeout = options.keepaliveTimeout
            return Channel(target: target, channel)
        }
    }

    /// One call, without repetition.
    /// - Parameter trace: whom it is made for.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, timeout: Duration?,
        for trace: TraceContext? = nil
    ) async throws(Status) -> Response {
        let (target, link) = try link(to: address)
        let begun = clock.steady
        var headers = headers
        if let trace {
            headers.append("traceparent", trace.header)
            if !trace.state.isEmpty { headers.append("tracestate", trace.state) }
        }
        let bytes: [UInt8]
        do throws(Status) {
            bytes = try await link.transport.unary(method.path, request.serializedBytes(), metadata: headers, timeout: timeout)
            link.note(nil, at: clock.steady)
        } catch {
            link.note(error, at: clock.steady)
            if error.code == .deadlineExceeded { leave(link, to: target, silentSince: begun) }
            throw error
        }
        do {
            return try Response(serializedBytes: bytes)
        } catch {
            throw Status(.internalError, "the answer to \(method.path) is no valid \(Response.messageName): \(error)")
        }
    }

    /// A call that is answered by a stream, without repetition and with no time limit of its own.
    func stream<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String
    ) throws(Status) -> ServerStreamingCall {
        guard let transport = try link(to: address).link.transport as? any StreamTransport else {
            throw Status(.unimplemented, "\(method.path) is answered by a stream, which this transport does not bring")
        }
        return transport.serverStream(method.path, request.serializedBytes(), metadata: headers, timeout: nil)
    }

    /// The next call to an address takes a new connection if nothing was heard on this one since `begun`: a peer may have
    /// vanished without a word. What is under way on the old one may still end there.
    func suspect(_ address: String, silentSince begun: Timestamp) {
        guard let target = (try? ServerAddress(address))?.target, let link = state.withLock({ $0.links[target] }) else { return }
        leave(link, to: target, silentSince: begun)
    }

    func close() {
        let links = state.withLock { state in
            state.isClosed = true
            defer { state.links = [:] }
            return state.links
        }
        for (_, link) in links.sorted(by: { $0.key < $1.key }) { link.transport.close() }
    }

    /// The way to an address.
    /// - Throws: `.invalidArgument` for an address that cannot be followed.
    private func link(to text: String) throws(Status) -> (target: String, link: Link) {
        let isSeed = options.servers.contains(text)
        do throws(ServerAddress.Mistake) {
            let address = try ServerAddress(text)
            let tls = try tls(of: address, isSeed: isSeed)
            let now = clock.steady
            return state.withLock { state in
                if let link = state.links[address.target] { return (address.target, link) }
                let link = Link(connect(address.target, tls), now: now)
                if state.isClosed { link.transport.close() } else { state.links[address.target] = link }
                return (address.target, link)
            }
        } catch {
            throw Status(.invalidArgument, isSeed ? error.description : "a server names itself \(text): \(error)")
        }
    }

    /// A server that names itself with `http://` does not turn TLS off; a seed that does contradicts.
    private func tls(of address: ServerAddress, isSeed: Bool) throws(ServerAddress.Mistake) -> ClientTLS? {
        guard isSeed else { return options.tls ?? (isSecure || address.isSecure == true ? ClientTLS() : nil) }
        let tls = try address.tls(options.tls)
        guard tls == nil, isSecure else { return tls }
        throw ServerAddress.Mistake(description: """
            some servers are named with https:// and \(address.target) is not: write https:// before each, so that none gets \
            the token in plain text
            """)
    }

    private func leave(_ link: Link, to target: String, silentSince begun: Timestamp) {
        guard link.lastHeard <= begun else { return }
        // It closes with the last of its calls, which hold it.
        let isLeft = state.withLock { state in
            guard state.links[target] === link else { return false }
            state.links[target] = nil
            return true
        }
        if isLeft { Probe.clientLeftSilentConnection.reached() }
    }
}
