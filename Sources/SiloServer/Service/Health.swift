import GRPC
import Protobuf
import SiloAPI
import SiloCore
import Synchronization

/// `grpc.health.v1.Health`: whether this server wants calls. It stops wanting them when it begins to drain.
final class Health: Sendable {
    private static let services: Set<String> = ["", SiloV1.Silo.name]
    private struct State {
        var isServing = true
        var watchers: [Int: @Sendable (Bool) -> Void] = [:]
        var nextWatcher = 0
    }
    private let state = Mutex(State())
    // Anybody may ask, with no token: limits of their own keep that from taking the place of others' calls.
    private let checks = CallLimit(total: 1024, perPeer: 256)
    private let watches = CallLimit(total: 1024, perPeer: 128)

    func register(on methods: inout MethodTable) {
        methods.serve(GRPCHealthV1.Health.check, for: .anybody, isServedWhileClosing: true, limit: checks) { request, call in
            guard Self.services.contains(request.service) else {
                throw Status(.notFound, "unknown service \(request.service)")
            }
            call.answer(Self.response(self.state.withLock { $0.isServing }))
        }
    }

    /// Watches are streams, which a method table does not hold.
    func registerWatch(on server: Server) {
        server.register(GRPCHealthV1.Health.watch.path, limit: watches) { call in self.watch(call) }
    }

    /// Tells everybody who asks or watches that no calls are wanted any more, and ends the watches.
    func drain() {
        let watchers = state.withLock { state in
            state.isServing = false
            defer { state.watchers = [:] }
            return state.watchers
        }
        for watcher in watchers.values { watcher(false) }
    }

    private func watch(_ call: ServerCall) {
        let request: GRPCHealthV1.HealthCheckRequest
        do {
            request = try call.withRequest { bytes throws(DecodingError) in try .init(decoding: bytes) }
        } catch {
            return call.fail(Status(.invalidArgument, "the request is no valid HealthCheckRequest: \(error)"))
        }
        // The protocol wants a watch of an unknown service to stay, and to say so.
        let isKnown = Self.services.contains(request.service)
        let (id, isServing) = state.withLock { state in
            state.nextWatcher += 1
            if state.isServing {
                state.watchers[state.nextWatcher] = { _ in
                    call.send(Self.response(isKnown ? false : nil).serializedBytes()) { _ in call.finish(trailers: Metadata()) }
                }
            }
            return (state.nextWatcher, state.isServing)
        }
        call.onCancel { self.state.withLock { $0.watchers[id] = nil } }
        call.send(Self.response(isKnown ? isServing : nil).serializedBytes()) { _ in
            if !isServing { call.finish(trailers: Metadata()) }
        }
    }

    /// - Parameter isServing: nil for a service that is not known.
    private static func response(_ isServing: Bool?) -> GRPCHealthV1.HealthCheckResponse {
        var response = GRPCHealthV1.HealthCheckResponse()
        response.status = isServing.map { $0 ? .serving : .notServing } ?? .serviceUnknown
        return response
    }
}
