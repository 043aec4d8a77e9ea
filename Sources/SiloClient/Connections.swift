import GRPC
import Protobuf
import SiloAPI
import SiloCore
import Synchronization

/// The ways of a client to its servers, one to each address, and what it knows of the shards.
final class Connections: Sendable {
    /// Makes the way to a server; nil TLS means plain text.
    typealias Connect = @Sendable (_ target: String, _ tls: ClientTLS?) -> any Transport

    private struct State {
        /// By their targets.
        var links: [String: Link] = [:]
        var topology: Topology?
        /// Learnt from a redirect, until the next refresh.
        var moved: [String: String] = [:]
        var refreshing: Task<Result<Topology, Status>, Never>?
        var turn = 0
        var isClosed = false
    }
    let options: ClientOptions
    private let state = Mutex(State())
    private let headers: Metadata
    private let environment: Environment
    private let connect: Connect
    /// Some seed asks for TLS: then no server is spoken to in plain text, however it names itself.
    private let isSecure: Bool
    /// Servers that are asked at once where the shards are, and how long each may take.
    private static let askedAtOnceMax = 8
    private static let askedTimeout = Duration.seconds(10)

    init(_ options: ClientOptions, in environment: Environment, connect: @escaping Connect) {
        self.options = options
        self.environment = environment
        self.connect = connect
        isSecure = options.tls != nil || options.servers.contains { (try? ServerAddress($0))?.isSecure == true }
        var headers = Metadata()
        if let token = options.token { headers.append("authorization", "Bearer \(token)") }
        self.headers = headers
    }

    // MARK: Ways

    /// The way to an address.
    /// - Throws: `.invalidArgument` for an address that cannot be followed.
    private func link(to text: String) throws(Status) -> (target: String, link: Link) {
        do throws(ServerAddress.Mistake) {
            let address = try ServerAddress(text)
            let tls = try tls(of: address, isSeed: options.servers.contains(text))
            let now = environment.clock.steady
            return state.withLock { state in
                if let link = state.links[address.target] { return (address.target, link) }
                let link = Link(connect(address.target, tls), now: now)
                if state.isClosed { link.transport.close() } else { state.links[address.target] = link }
                return (address.target, link)
            }
        } catch {
            throw Status(.invalidArgument, error.description)
        }
    }

    /// A server that names itself with `http://` does not turn TLS off; a seed that does contradicts.
    private func tls(of address: ServerAddress, isSeed: Bool) throws(ServerAddress.Mistake) -> ClientTLS? {
        guard isSeed else { return options.tls ?? (isSecure || address.isSecure == true ? ClientTLS() : nil) }
        let tls = try address.tls(options.tls)
        guard tls == nil, isSecure else { return tls }
        throw ServerAddress.Mistake(description: """
            some servers are named with https:// and \(address.target) is not: write https:// before each, so that none gets the token \
            in plain text
            """)
    }

    /// One call, without repetition.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, timeout: Duration?
    ) async throws(Status) -> Response {
        let (target, link) = try link(to: address)
        let begun = environment.clock.steady
        let bytes: [UInt8]
        do throws(Status) {
            bytes = try await link.transport.unary(method.path, request.serializedBytes(), metadata: headers, timeout: timeout)
            link.note(nil, at: environment.clock.steady)
        } catch {
            link.note(error, at: environment.clock.steady)
            if error.code == .deadlineExceeded { leave(link, to: target, silentSince: begun) }
            throw error
        }
        do {
            return try Response(serializedBytes: bytes)
        } catch {
            throw Status(.internalError, "the answer to \(method.path) is no valid \(Response.messageName): \(error)")
        }
    }

    /// The same within the time that calls may take, and `wait` on top.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, wait: Duration = .zero
    ) async throws(Status) -> Response {
        try await call(method, request, at: address, timeout: options.timeout.map { $0 + wait })
    }

    /// The next call to an address takes a new connection if nothing was heard on this one since `begun`: a peer may have vanished
    /// without a word. What is under way on the old one may still end there.
    func suspect(_ address: String, silentSince begun: Timestamp) {
        guard let target = (try? ServerAddress(address))?.target, let link = state.withLock({ $0.links[target] }) else { return }
        leave(link, to: target, silentSince: begun)
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

    func close() {
        let links = state.withLock { state in
            state.isClosed = true
            defer { state.links = [:] }
            return state.links
        }
        for (_, link) in links.sorted(by: { $0.key < $1.key }) { link.transport.close() }
    }

    // MARK: Shards

    /// What is known of the shards, asked for the first time if need be.
    func topology() async throws(Status) -> Topology {
        if let topology = state.withLock({ $0.topology }) { return topology }
        return try await refresh()
    }

    /// Asks where the shards are: the servers side by side, and the first answer counts. Who asks while somebody does shares the answer.
    @discardableResult
    func refresh() async throws(Status) -> Topology {
        let refreshing = state.withLock { state in
            if let refreshing = state.refreshing { return refreshing }
            let known = state.topology?.addresses ?? []
            let all = known + options.servers.filter { !known.contains($0) }
            // Ends with the calls; it is not cancelled with one of those who wait for it.
            let refreshing = environment.start { await self.ask(all) }
            state.refreshing = refreshing
            return refreshing
        }
        return try await refreshing.value.get()
    }

    private func ask(_ addresses: [String]) async -> Result<Topology, Status> {
        let answer = await firstAnswer(of: addresses)
        state.withLock { state in
            state.refreshing = nil
            guard case .success(let topology) = answer else { return }
            state.topology = topology
            state.moved = [:]
        }
        return answer
    }

    private func firstAnswer(of addresses: [String]) async -> Result<Topology, Status> {
        await withTaskGroup(of: Result<Topology, Status>.self) { group in
            var rest = addresses[...]
            func askNext() {
                guard let address = rest.popFirst() else { return }
                group.addTask {
                    do throws(Status) {
                        let timeout = min(self.options.timeout ?? Self.askedTimeout, Self.askedTimeout)
                        return .success(Topology(try await self.call(SiloV1.Silo.getClusterInfo, .init(), at: address, timeout: timeout)))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<Self.askedAtOnceMax { askNext() }
            var failure = Status(.unavailable, "no server is known: name one")
            while let answer = await group.next() {
                switch answer {
                case .success:
                    group.cancelAll()
                    return answer
                case .failure(let status):
                    // A mistake of the caller's tells more than that others do not answer.
                    if failure.code != .invalidArgument { failure = status }
                    askNext()
                }
            }
            return .failure(failure)
        }
    }

    func moved(_ shard: String, to address: String) {
        state.withLock { $0.moved[shard] = address }
    }

    /// Every shard has an owner, and this one is not among them.
    func isGone(_ shard: String) -> Bool {
        state.withLock { $0.topology.map { $0.isWhole && $0.address(of: shard) == nil } ?? false }
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
}
