package import GRPC
package import SiloCore
import SiloTelemetry

/// A call with one request and one answer, as a method sees it, whatever brought it here.
package protocol IncomingCall: RequestOrigin, CallHeaders {
    /// Until nobody waits for the answer any more; nil: for ever.
    var timeRemaining: Duration? { get }

    /// Lends the request's bytes, once.
    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R

    /// Answers with a message. The first answer of a call counts.
    /// - Parameter onUndelivered: runs at most once, when it is known that the caller did not get this answer.
    func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?)
    func fail(_ status: Status)

    /// Runs when nobody waits for the answer any more.
    func onCancel(_ body: @escaping @Sendable () -> Void)
}

extension ServerCall: IncomingCall {
    package func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?) {
        respond(bytes, trailers: Metadata(), onUndelivered: onUndelivered)
    }
}

/// The methods of a node, by path. The gRPC server serves them, and so does a simulated wire.
package struct MethodTable: Sendable {
    /// Serves a call of a caller who was let in.
    package typealias Handler = @Sendable (any IncomingCall, Caller) -> Void
    typealias StreamHandler = @Sendable (ServerCall, Caller) -> Void

    private enum Kind {
        case unary(Handler)
        /// One request, a stream of answers.
        case answerStream(StreamHandler)
    }

    private struct Entry {
        let kind: Kind
        let isServedWhileClosing: Bool
        let limit: CallLimit?
        let screen: Server.Screen?
    }
    private var entries: [String: Entry] = [:]
    /// Of the methods that wait.
    let environment: Environment
    /// Records their calls; nil: nobody does.
    let tracer: RecordingTracer?
    let log: CallLog

    init(in environment: Environment, tracer: RecordingTracer? = nil, logger: Logger = .silent) {
        self.environment = environment
        self.tracer = tracer
        log = CallLog(logger)
    }

    /// For the parameters see `Server.register`.
    mutating func add(
        _ path: String, isServedWhileClosing: Bool = false, limit: CallLimit? = nil, screen: Server.Screen? = nil,
        _ handler: @escaping Handler
    ) {
        entries[path] = Entry(kind: .unary(handler), isServedWhileClosing: isServedWhileClosing, limit: limit, screen: screen)
    }

    /// A method that answers with a stream; for the parameters see `Server.register`.
    mutating func addAnswerStream(
        _ path: String, limit: CallLimit? = nil, screen: Server.Screen? = nil, _ handler: @escaping StreamHandler
    ) {
        entries[path] = Entry(kind: .answerStream(handler), isServedWhileClosing: false, limit: limit, screen: screen)
    }

    /// Who serves `path`, with the check of who calls; nil: nobody, or it is a stream.
    package func handler(of path: String) -> (@Sendable (any IncomingCall) -> Void)? {
        guard let entry = entries[path], case .unary(let handler) = entry.kind else { return nil }
        guard let screen = entry.screen else { return { handler($0, .anonymous) } }
        return { call in
            switch screen(call) {
            case .refused(let refusal): call.fail(refusal)
            case .admitted(let found): handler(call, found as? Caller ?? .nobody)
            }
        }
    }

    /// Who serves `path` for a caller who was let in by whoever asks.
    func handler(forAdmitted path: String) -> Handler? {
        guard let entry = entries[path], case .unary(let handler) = entry.kind else { return nil }
        return handler
    }

    func register(on server: Server) {
        for (path, entry) in entries {
            let handler: @Sendable (ServerCall) -> Void =
                switch entry.kind {
                case .unary(let handler) where entry.screen == nil: { handler($0, .anonymous) }
                case .unary(let handler): { handler($0, $0.screened as? Caller ?? .nobody) }
                case .answerStream(let handler) where entry.screen == nil: { handler($0, .anonymous) }
                case .answerStream(let handler): { handler($0, $0.screened as? Caller ?? .nobody) }
                }
            server.register(
                path, isServedWhileClosing: entry.isServedWhileClosing, limit: entry.limit, screen: entry.screen, handler
            )
        }
    }
}
