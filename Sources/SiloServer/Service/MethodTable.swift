package import GRPC
import SiloCore

/// A call with one request and one answer, as a method sees it, whatever brought it here.
package protocol IncomingCall: AnyObject, Sendable {
    /// The request's headers, decoded on each look.
    var metadata: Metadata { get }

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
    package typealias Handler = @Sendable (any IncomingCall) -> Void

    private struct Entry {
        let handler: Handler
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
        _ path: String, isServedWhileClosing: Bool, limit: CallLimit?, screen: Server.Screen?, _ handler: @escaping Handler
    ) {
        entries[path] = Entry(handler: handler, isServedWhileClosing: isServedWhileClosing, limit: limit, screen: screen)
    }

    /// Who serves `path`, with the check of who calls; nil: nobody.
    package func handler(of path: String) -> Handler? {
        guard let entry = entries[path] else { return nil }
        guard let screen = entry.screen else { return entry.handler }
        return { call in
            if let refusal = screen(call.metadata) { call.fail(refusal) } else { entry.handler(call) }
        }
    }

    func register(on server: Server) {
        for (path, entry) in entries {
            server.register(
                path, isServedWhileClosing: entry.isServedWhileClosing, limit: entry.limit, screen: entry.screen
            ) { [handler = entry.handler] call in handler(call) }
        }
    }
}
