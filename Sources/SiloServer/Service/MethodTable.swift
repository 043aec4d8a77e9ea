package import GRPC
package import SiloCore

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

extension IncomingCall {
    package var trace: String? { header("traceparent").map { String(decoding: $0, as: UTF8.self) } }
}

extension ServerCall: IncomingCall {
    package func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?) {
        respond(bytes, trailers: Metadata(), onUndelivered: onUndelivered)
    }
}

/// The methods of a node, by path. The gRPC server serves them, and so does a simulated wire.
package struct MethodTable: Sendable {
    package typealias Handler = @Sendable (any IncomingCall) -> Void

    private enum Kind {
        case unary(Handler)
        /// One request, a stream of answers.
        case answerStream(@Sendable (ServerCall) -> Void)
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

    init(in environment: Environment) {
        self.environment = environment
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
        _ path: String, limit: CallLimit? = nil, screen: Server.Screen? = nil, _ handler: @escaping @Sendable (ServerCall) -> Void
    ) {
        entries[path] = Entry(kind: .answerStream(handler), isServedWhileClosing: false, limit: limit, screen: screen)
    }

    /// Who serves `path`, with the check of who calls; nil: nobody, or it is a stream.
    package func handler(of path: String) -> Handler? {
        guard let entry = entries[path], case .unary(let handler) = entry.kind else { return nil }
        guard let screen = entry.screen else { return handler }
        return { call in
            if let refusal = screen(call) { call.fail(refusal) } else { handler(call) }
        }
    }

    func register(on server: Server) {
        for (path, entry) in entries {
            let handler: @Sendable (ServerCall) -> Void =
                switch entry.kind {
                case .unary(let handler): { handler($0) }
                case .answerStream(let handler): handler
                }
            server.register(
                path, isServedWhileClosing: entry.isServedWhileClosing, limit: entry.limit, screen: entry.screen, handler
            )
        }
    }
}
