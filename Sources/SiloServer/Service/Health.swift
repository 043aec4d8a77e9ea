import GRPC
import Protobuf
import SiloAPI
import SiloCore
import Synchronization

/// `grpc.health.v1.Health`: whether this server wants calls.
///
/// `""` is this process: it wants calls while at least one of its shards serves. `silo.v1.Silo` is the whole service: it serves
/// while every shard does. Neither does while the server drains.
final class Health: Sendable {
    private static let services: Set<String> = ["", SiloV1.Silo.name]
    private struct State {
        /// Whether each shard of this node serves.
        var shards: [ShardID: Bool]
        var isDraining = false
        var watches: [Int: Watch] = [:]
        var nextWatch = 0

        /// Nil for a service that is not known.
        func isServing(_ service: String) -> Bool? {
            switch service {
            case "": !isDraining && shards.values.contains(true)
            case SiloV1.Silo.name: !isDraining && !shards.values.contains(false)
            default: nil
            }
        }
    }
    private let state: Mutex<State>
    // Anybody may ask, with no token: limits of their own keep that from taking the place of others' calls.
    private let checks = CallLimit(total: 1024, perPeer: 256)
    private let watches = CallLimit(total: 1024, perPeer: 128)

    /// None of the shards serves yet.
    init(_ shards: [ShardID]) {
        state = Mutex(State(shards: Dictionary(shards.map { ($0, false) }) { first, _ in first }))
    }

    func register(on methods: inout MethodTable) {
        methods.add(GRPCHealthV1.Health.check.path, isServedWhileClosing: true, limit: checks) { call, _ in
            do throws(SiloError) {
                var size = 0
                let request: GRPCHealthV1.HealthCheckRequest = try call.request(&size)
                guard let isServing = self.state.withLock({ $0.isServing(request.service) }) else {
                    return call.fail(Status(.notFound, "unknown service \(request.service)").shortened)
                }
                call.respond(Self.response(isServing).serializedBytes(), onUndelivered: nil)
            } catch {
                call.fail(Status(error).shortened)
            }
        }
        methods.addAnswerStream(GRPCHealthV1.Health.watch.path, limit: watches) { call, _ in self.watch(call) }
    }

    /// A shard begins to serve, or stops.
    func update(_ shard: ShardID, serves: Bool) {
        change { $0.shards[shard] = serves }
    }

    /// A shard is not this node's any more.
    func forget(_ shard: ShardID) { change { $0.shards[shard] = nil } }

    /// Tells everybody who asks or watches that no calls are wanted any more, and ends the watches.
    func drain() { change { $0.isDraining = true } }

    private func change(_ change: (inout State) -> Void) {
        let watches = state.withLock { state in
            change(&state)
            defer { if state.isDraining { state.watches = [:] } }
            return state.watches
        }
        for watch in watches.values { watch.look() }
    }

    private func watch(_ call: ServerCall) {
        let request: GRPCHealthV1.HealthCheckRequest
        do {
            request = try call.withRequest { bytes throws(DecodingError) in try .init(decoding: bytes) }
        } catch {
            return call.fail(Status(.invalidArgument, "the request is no valid HealthCheckRequest: \(error)"))
        }
        // The protocol wants a watch of an unknown service to stay, and to say so.
        let watch = Watch(call) { [self] in state.withLock { ($0.isServing(request.service), $0.isDraining) } }
        let id = state.withLock { state in
            state.nextWatch += 1
            if !state.isDraining { state.watches[state.nextWatch] = watch }
            return state.nextWatch
        }
        call.onCancel { self.state.withLock { $0.watches[id] = nil } }
        watch.look()
    }

    /// - Parameter isServing: nil for a service that is not known.
    fileprivate static func response(_ isServing: Bool?) -> GRPCHealthV1.HealthCheckResponse {
        var response = GRPCHealthV1.HealthCheckResponse()
        response.status = isServing.map { $0 ? .serving : .notServing } ?? .serviceUnknown
        return response
    }
}

/// One who watches: is sent what changed, one message at a time, the last of them for certain.
private final class Watch: Sendable {
    private struct State {
        var sent: GRPCHealthV1.HealthCheckResponse?
        var isSending = false
        var isOver = false
    }
    private enum Step { case send(GRPCHealthV1.HealthCheckResponse), end, nothing }

    private let call: ServerCall
    /// Whether the service serves, and whether this was the last word.
    private let current: @Sendable () -> (isServing: Bool?, isLast: Bool)
    private let state = Mutex(State())

    init(_ call: ServerCall, current: @escaping @Sendable () -> (isServing: Bool?, isLast: Bool)) {
        self.call = call
        self.current = current
    }

    /// Sends how it stands, unless that is known.
    func look() {
        let step: Step = state.withLock { state in
            guard !state.isSending, !state.isOver else { return .nothing }
            let (isServing, isLast) = current()
            let response = Health.response(isServing)
            guard response == state.sent else {
                state.sent = response
                state.isSending = true
                return .send(response)
            }
            state.isOver = isLast
            return isLast ? .end : .nothing
        }
        switch step {
        case .nothing: break
        case .end: call.finish(trailers: Metadata())
        case .send(let response):
            call.send(response.serializedBytes()) { isSent in
                self.state.withLock { state in
                    state.isSending = false
                    state.isOver = !isSent
                }
                self.look()
            }
        }
    }
}
