import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import Synchronization
import TestSupport

@testable import SiloServer

extension RateCheck {
    static func of(
        _ key: String, hits: Int64 = 1, limit: Int64 = 10, algorithm: UInt32 = 0, behavior: Int32 = 0, burst: Int64 = 0
    ) -> RateCheck {
        RateCheck(
            name: "mail", uniqueKey: key, hits: hits, limit: limit, durationMilliseconds: 60_000, algorithm: algorithm,
            behavior: behavior, burst: burst
        )
    }
}

/// Serves `pb.gubernator.V1` in this process and answers what the test says.
final class FakeGubernator: Sendable {
    enum Reply: Sendable {
        case answers([PbGubernator.RateLimitResp])
        case bytes([UInt8])
        case fail(Status)
        /// Until `release`.
        case hold
    }

    private struct State {
        var requests: [PbGubernator.GetRateLimitsReq] = []
        var peers: [String] = []
        var held: [(ServerCall, PbGubernator.GetRateLimitsReq)] = []
    }

    private let server: Server
    private let state = Mutex(State())
    private let changes = Signal()
    let port: Int

    init(
        port: Int = 0, health: String = "healthy",
        reply: @escaping @Sendable (PbGubernator.GetRateLimitsReq) -> Reply = { .answers(FakeGubernator.under($0)) }
    ) throws {
        let server = Server(ServerOptions(address: "127.0.0.1:\(port)"))
        self.server = server
        let state = WeakState()
        server.register(PbGubernator.V1.healthCheck.path) { call in
            var response = PbGubernator.HealthCheckResp()
            response.status = health
            call.respond(response.serializedBytes())
        }
        server.register(PbGubernator.V1.getRateLimits.path) { call in
            guard let request = try? call.withRequest({ try PbGubernator.GetRateLimitsReq(decoding: $0) }) else {
                return call.fail(Status(.invalidArgument, "no request"))
            }
            state.owner?.take(call, request, reply(request))
        }
        self.port = try server.start()
        state.owner = self
    }

    var address: String { "127.0.0.1:\(port)" }
    var requests: [PbGubernator.GetRateLimitsReq] { state.withLock { $0.requests } }
    /// From where each of them came.
    var peers: [String] { state.withLock { $0.peers } }
    /// Returns once so many calls are held.
    func untilHeld(_ count: Int) async throws {
        try await changes.wait(for: "\(count) held calls") { state.withLock { $0.held.count } == count }
    }

    private func take(_ call: ServerCall, _ request: PbGubernator.GetRateLimitsReq, _ reply: Reply) {
        state.withLock { state in
            state.requests.append(request)
            state.peers.append(call.peer)
            if case .hold = reply { state.held.append((call, request)) }
        }
        changes.raise()
        switch reply {
        case .answers(let responses): call.respond(Self.bytes(responses))
        case .bytes(let bytes): call.respond(bytes)
        case .fail(let status): call.fail(status)
        case .hold: break
        }
    }

    /// Answers every held call, the last one first.
    func release() {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for (call, request) in held.reversed() { call.respond(Self.bytes(Self.under(request))) }
    }

    func stop() async {
        state.withLock { $0.held = [] }
        await server.shutdown(grace: .milliseconds(100))
    }

    static func under(_ request: PbGubernator.GetRateLimitsReq) -> [PbGubernator.RateLimitResp] {
        request.requests.map { _ in .init() }
    }

    private static func bytes(_ responses: [PbGubernator.RateLimitResp]) -> [UInt8] {
        var response = PbGubernator.GetRateLimitsResp()
        response.responses = responses
        return response.serializedBytes()
    }

    /// The handlers are registered before there is an owner, and do not keep it.
    private final class WeakState: Sendable {
        private struct Box { weak var owner: FakeGubernator? }
        private let box = Mutex(Box())
        var owner: FakeGubernator? {
            get { box.withLock { $0.owner } }
            set { box.withLock { $0.owner = newValue } }
        }
    }
}
