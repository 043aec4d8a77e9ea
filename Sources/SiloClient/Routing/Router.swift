package import GRPC
package import Protobuf
import SiloAPI
import SiloCore
import SiloTelemetry
import Synchronization

/// The way of requests to the servers that hold their shards. It knows where the shards are, asks when it does not, follows
/// redirects, and repeats what may be repeated. What to do next `Delivery` decides.
package final class Router: Sendable {
    private struct State {
        var map: RouteMap
        var refreshing: Task<Result<Topology, Status>, Never>?
    }
    let options: ClientOptions
    private let environment: Environment
    private let connections: Connections
    private let state: Mutex<State>

    /// Connects over the network, before the first call to each server.
    package convenience init(_ options: ClientOptions) {
        self.init(options, in: .system, connect: Connections.channels(options))
    }

    init(_ options: ClientOptions, in environment: Environment, connect: @escaping Connections.Connect) {
        self.options = options
        self.environment = environment
        connections = Connections(options, clock: environment.clock, connect: connect)
        state = Mutex(State(map: RouteMap(seeds: options.servers)))
    }

    package func close() { connections.close() }

    // MARK: Requests

    /// Sends a request until somebody takes it, or it is refused for good, for whom the task traces.
    /// - Parameter request: for the shard that holds the target now.
    package func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, to target: Target, _ repeats: Repeats = .asConfigured,
        _ request: @Sendable (_ shard: String) -> Request
    ) async throws(Status) -> Response {
        try await run(target, repeats) { shard, address, _ throws(Status) in
            try await call(method, request(shard), at: address, for: .current)
        }
    }

    /// Sends a request that is answered by a stream. It is repeated until the first response has come, and not afterwards.
    package func stream<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, to target: Target, _ repeats: Repeats = .asConfigured, _ request: Request
    ) async throws(Status) -> ResponseStream<Response> {
        try await run(target, repeats) { _, address, _ throws(Status) in
            try await ResponseStream(try connections.stream(method, request, at: address), of: method.path)
        }
    }

    /// The same with whatever is to be done at the server of a shard.
    /// - Parameter send: one try: the shard, its address, and how many tries came before.
    func run<Answer: Sendable>(
        _ target: Target, _ repeats: Repeats = .asConfigured,
        _ send: (_ shard: String, _ address: String, _ tries: Int) async throws(Status) -> Answer
    ) async throws(Status) -> Answer {
        var delivery = Delivery(to: target, repeats, options)
        var step = state.withLock { delivery.next(&$0.map) }
        while true {
            switch step {
            case .learn:
                do throws(Status) {
                    try await refresh()
                    step = state.withLock { delivery.learnt(&$0.map) }
                } catch {
                    step = state.withLock { delivery.failed(error, at: "", &$0.map) }
                }
            case .send(let shard, let address):
                do throws(Status) { return try await send(shard, address, delivery.tries) } catch {
                    step = state.withLock { delivery.failed(error, at: shard, &$0.map) }
                }
            case .refresh:
                // If nobody answers, the next try says so.
                _ = try? await refresh()
                step = state.withLock { delivery.refreshed($0.map) }
            case .pause(let length):
                do { try await environment.clock.sleep(milliseconds: length.milliseconds) } catch {
                    throw Status(.cancelled, "the caller was cancelled")
                }
                Probe.clientRepeated.reached()
                step = state.withLock { delivery.next(&$0.map) }
            case .fail(let status): throw status
            }
        }
    }

    /// One call, within the time that calls may take and `wait` on top.
    /// - Parameter trace: whom it is made for.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, wait: Duration = .zero,
        for trace: TraceContext? = nil
    ) async throws(Status) -> Response {
        try await connections.call(method, request, at: address, timeout: options.timeout.map { $0 + wait }, for: trace)
    }

    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, at address: String, timeout: Duration?
    ) async throws(Status) -> Response {
        try await connections.call(method, request, at: address, timeout: timeout)
    }

    /// The next call to an address takes a new connection if nothing was heard on this one since `begun`.
    func suspect(_ address: String, silentSince begun: Timestamp) { connections.suspect(address, silentSince: begun) }

    // MARK: Shards

    /// What is known of the shards, asked for the first time if need be.
    package func topology() async throws(Status) -> Topology {
        if let topology = state.withLock({ $0.map.topology }) { return topology }
        return try await refresh()
    }

    /// The shard of a tenant as far as it is known; nil before somebody asked, and when nobody serves it.
    func knownShard(of tenant: String?) -> String? {
        state.withLock { $0.map.topology }?.shard(of: tenant.map { Tenant($0) } ?? .none)?.id
    }

    /// Where a shard is thought to be; any server when that is not known.
    func address(of shard: String) -> String { state.withLock { $0.map.address(of: shard) } }

    /// Every shard has an owner, and this one is not among them.
    func isGone(_ shard: String) -> Bool { state.withLock { $0.map.isGone(shard) } }

    func moved(_ shard: String, to address: String) { state.withLock { $0.map.move(shard, to: address) } }

    /// Asks where the shards are. Who asks while somebody does shares the answer.
    @discardableResult
    func refresh() async throws(Status) -> Topology {
        let refreshing = state.withLock { state in
            if let refreshing = state.refreshing { return refreshing }
            let inquiry = TopologyInquiry(connections: connections, options: options)
            let sources = state.map.sources
            // Ends with its calls; it is not cancelled with one of those who wait for it.
            let refreshing = environment.start { self.learn(from: await inquiry.ask(sources)) }
            state.refreshing = refreshing
            return refreshing
        }
        return try await refreshing.value.get()
    }

    private func learn(from answer: Result<Topology, Status>) -> Result<Topology, Status> {
        state.withLock { state in
            state.refreshing = nil
            if case .success(let topology) = answer { state.map.learn(topology) }
        }
        return answer
    }
}
