import GRPC
import Protobuf
import SiloAPI
import SiloCore
import Synchronization

/// The ways of a client to its servers, one to each address, and what it knows of the shards.
final class Connections: Sendable {
    private struct State {
        var transports: [String: any Transport] = [:]
        var topology: Topology?
        /// Learnt from a redirect, until the next refresh.
        var moved: [String: String] = [:]
        var turn = 0
        var isClosed = false
    }
    let options: ClientOptions
    private let state = Mutex(State())
    private let headers: Metadata
    private let connect: @Sendable (String) -> any Transport

    init(_ options: ClientOptions, connect: @escaping @Sendable (String) -> any Transport) {
        self.options = options
        self.connect = connect
        var headers = Metadata()
        if let token = options.token { headers.append("authorization", "Bearer \(token)") }
        self.headers = headers
    }

    /// The way to an address.
    private func transport(to address: String) -> any Transport {
        let target = Self.target(address)
        return state.withLock { state in
            if let transport = state.transports[target] { return transport }
            let transport = connect(target)
            if state.isClosed { transport.close() } else { state.transports[target] = transport }
            return transport
        }
    }

    /// `http://` before an address says nothing that the options do not.
    private static func target(_ address: String) -> String {
        for scheme in ["http://", "https://"] where address.hasPrefix(scheme) { return String(address.dropFirst(scheme.count)) }
        return address
    }

    /// One call, without repetition.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, wait: Duration = .zero
    ) async throws(Status) -> Response {
        let timeout = options.timeout.map { $0 + wait }
        let bytes = try await transport(to: address).unary(
            method.path, request.serializedBytes(), metadata: headers, timeout: timeout
        )
        do {
            return try Response(serializedBytes: bytes)
        } catch {
            throw Status(.internalError, "the answer to \(method.path) is no valid \(Response.messageName): \(error)")
        }
    }

    /// What is known of the shards, asked for the first time if need be.
    func topology() async throws(Status) -> Topology {
        if let topology = state.withLock({ $0.topology }) { return topology }
        return try await refresh()
    }

    /// Asks where the shards are: any server answers.
    @discardableResult
    func refresh() async throws(Status) -> Topology {
        let known = state.withLock { $0.topology?.addresses ?? [] }
        var failure = Status(.unavailable, "no server is known: name one")
        for address in known + options.servers.filter({ !known.contains($0) }) {
            do {
                let topology = Topology(try await call(SiloV1.Silo.getClusterInfo, .init(), at: address))
                state.withLock { state in
                    state.topology = topology
                    state.moved = [:]
                }
                return topology
            } catch {
                failure = error
            }
        }
        throw failure
    }

    func moved(_ shard: String, to address: String) {
        state.withLock { $0.moved[shard] = address }
    }

    /// Where a shard is thought to be; any server when that is not known.
    func address(of shard: String) -> String {
        state.withLock { state in
            if let address = state.moved[shard] ?? state.topology?.address(of: shard) { return address }
            let addresses = state.topology?.addresses ?? options.servers
            guard !addresses.isEmpty else { return options.servers.first ?? "" }
            state.turn += 1
            return addresses[state.turn % addresses.count]
        }
    }

    func close() {
        let transports = state.withLock { state in
            state.isClosed = true
            defer { state.transports = [:] }
            return state.transports
        }
        for (_, transport) in transports.sorted(by: { $0.key < $1.key }) { transport.close() }
    }
}

/// Sends a request until somebody takes it: it follows redirects, asks where the shards are, and pauses in between
/// (spec/clients.md 5).
struct Retry: Sendable {
    enum Target: Sendable {
        case tenant(String?)
        case shard(String)
        /// The request finds its way by itself.
        case anywhere
    }
    let connections: Connections
    let clock: any Clock

    /// - Parameter send: one try: the shard, its address, and how many tries came before.
    func run<Answer: Sendable>(
        _ target: Target, _ send: (_ shard: String, _ address: String, _ tries: Int) async throws(Status) -> Answer
    ) async throws(Status) -> Answer {
        var pause = connections.options.retryPause
        var tries = 0
        while true {
            var shard = ""
            do throws(Status) {
                switch target {
                case .anywhere: break
                case .shard(let id): shard = id
                case .tenant(let tenant):
                    guard let found = try await connections.topology().shard(of: tenant) else {
                        throw Status(.unavailable, "nobody serves the shard of tenant \(tenant ?? "-")")
                    }
                    shard = found.id
                }
                return try await send(shard, connections.address(of: shard), tries)
            } catch {
                guard error.isWorthAnotherTry, tries < connections.options.retriesMax else { throw error }
                if error.isWrongShard, let address = error.trailers["x-silo-shard-owner-addr"] {
                    connections.moved(shard, to: address)
                } else {
                    // If nobody answers, the next try says so.
                    _ = try? await connections.refresh()
                }
            }
            do { try await clock.sleep(milliseconds: pause.milliseconds) } catch { throw Status(.cancelled, "the caller was cancelled") }
            pause = min(pause * 2, .seconds(5))
            tries += 1
            Probe.clientRepeated.reached()
        }
    }
}
