import GRPC
import SiloCore
import SiloService
import SiloTelemetry
import SiloWeb
import Synchronization

/// The operators' web page as part of a node: what it shows is the node's, and whoever does something there does it as a caller
/// of the API does, through the same gate.
final class WebPage: Sendable {
    let site: Site
    private let core: Core
    private let running: Task<Void, Never>

    /// The node, once it has opened.
    private final class Core: Sendable {
        private let core = Mutex<NodeCore?>(nil)
        var value: NodeCore? {
            get { core.withLock { $0 } }
            set { core.withLock { $0 = newValue } }
        }
    }

    private static let callTime = Duration.seconds(30)

    init(_ settings: NodeSettings, _ metrics: NodeMetrics, _ gate: Gate, in environment: Environment) {
        let core = Core()
        let startedAt = environment.clock.now
        let closeUp = CloseUpReader(metrics, in: environment)
        let backend = WebBackend(
            admission: gate.access.isOpen ? .open : gate.access.knowsTokens ? .tokens : .certificatesAlone,
            isEncrypted: settings.tls != nil, sessionMilliseconds: settings.webSessionMilliseconds, clock: environment.clock,
            random: environment.random,
            caller: { hash throws(SiloError) in try gate.access.caller(hash) },
            may: { caller, method in caller.may(MethodAccess.of(method)) },
            send: { method, request, caller, peer throws(CallFailure) in
                try await Self.send(method, request, as: caller, from: peer, through: gate, to: core.value)
            },
            note: { what, caller, peer in gate.note(what, caller, peer: peer) },
            figures: {
                var figures = FiguresReader(metrics: metrics, parts: core.value?.parts).read()
                figures.node.version = settings.version
                figures.node.builtFrom = settings.builtFrom.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
                figures.node.data = settings.data
                figures.node.startedAt = startedAt
                figures.node.auditLinesLost = gate.audit.map { Int(clamping: $0.counts.dropped) }
                return figures
            },
            closeUp: { closeUp.read(core.value) }
        )
        self.core = core
        let site = Site(backend)
        self.site = site
        // `stop` ends it.
        running = environment.start { await site.run() }
    }

    func runs(_ node: NodeCore) { core.value = node }

    /// Nobody is kept waiting by a stream.
    func stop() {
        running.cancel()
        site.endStreams()
    }

    private static func send(
        _ method: String, _ request: [UInt8], as caller: Caller, from peer: String, through gate: Gate, to core: NodeCore?
    ) async throws(CallFailure) -> [UInt8] {
        guard let core else { throw CallFailure(.unavailable, "the shards are being opened") }
        guard let handler = core.methods.handler(forAdmitted: method) else {
            throw CallFailure(.failed, "this server does not have \(method)")
        }
        do throws(SiloError) { try gate.admit(caller, to: method, peer: peer) } catch { throw CallFailure(Status(error)) }
        let answer = await LocalCall.call(handler, request, as: caller, from: peer, within: callTime)
        do { return try answer.get() } catch { throw CallFailure(error) }
    }
}

extension Gate {
    fileprivate func note(_ what: Visitation, _ caller: Caller?, peer: String) {
        switch what {
        case .signedIn: noteVisit("SignIn", caller, peer: peer, refusal: nil)
        case .signedOut: noteVisit("SignOut", caller, peer: peer, refusal: nil)
        case .refused(let why): noteVisit("SignIn", nil, peer: peer, refusal: why)
        }
    }
}

extension CallFailure {
    fileprivate init(_ status: Status) {
        let kind: Kind =
            switch status.code {
            case .invalidArgument, .outOfRange: .invalid
            case .unauthenticated, .permissionDenied: .denied
            case .notFound: .notFound
            case .alreadyExists: .exists
            case .failedPrecondition, .aborted: .refused
            case .resourceExhausted: .busy
            case .unavailable, .cancelled, .deadlineExceeded: .unavailable
            case .ok, .unknown, .unimplemented, .internalError, .dataLoss: .failed
            }
        self.init(kind, status.message)
    }
}
