package import GRPC
import SiloCore

/// A call with one request and one answer, as a method sees it, whatever brought it here.
package protocol IncomingCall: AnyObject, Sendable {
    /// The request's headers, decoded on each look.
    var metadata: Metadata { get }

    /// Lends the request's bytes.
    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R

    /// Answers with a message. The first answer of a call counts.
    func respond(_ bytes: [UInt8])
    func fail(_ status: Status)

    /// Runs when nobody waits for the answer any more.
    func onCancel(_ body: @escaping @Sendable () -> Void)
}

extension ServerCall: IncomingCall {
    package func respond(_ bytes: [UInt8]) { respond(bytes, trailers: Metadata()) }
}

/// The methods of a node, by path. The gRPC server serves them, and so does a simulated wire.
package struct MethodTable: Sendable {
    package typealias Handler = @Sendable (any IncomingCall) -> Void

    private struct Entry {
        let handler: Handler
        let isServedWhileClosing: Bool
    }
    private var entries: [String: Entry] = [:]
    /// Of the methods that wait.
    let surroundings: Surroundings

    init(in surroundings: Surroundings) {
        self.surroundings = surroundings
    }

    /// - Parameter isServedWhileClosing: see `Server.register`.
    mutating func add(_ path: String, isServedWhileClosing: Bool, _ handler: @escaping Handler) {
        entries[path] = Entry(handler: handler, isServedWhileClosing: isServedWhileClosing)
    }

    /// Who serves `path`; nil: nobody.
    package func handler(of path: String) -> Handler? { entries[path]?.handler }

    func register(on server: Server) {
        for (path, entry) in entries {
            server.register(path, isServedWhileClosing: entry.isServedWhileClosing) { [handler = entry.handler] call in handler(call) }
        }
    }
}
