import CGRPC
import Synchronization

/// A gRPC server: register methods, start, shut down.
public final class Server: Sendable {
    /// How long calls are refused before the connections close.
    private static let farewell = Duration.milliseconds(100)

    private let options: ServerOptions
    private let stage: Mutex<Stage>

    private enum Stage {
        /// May be followed by `.running` or `.stopped`.
        case registering([Method])
        /// May be followed by nothing: the core knows whether it is going down.
        case running(ServerCore)
        /// Shut down before it was started.
        case stopped
    }

    public init(_ options: ServerOptions) {
        self.options = options
        stage = Mutex(.registering([]))
    }

    deinit {
        guard case .running(let core) = stage.withLock({ $0 }) else { return }
        core.beginShutdown()
        core.cancelCalls()
    }

    /// Serves `path`, such as `/silo.v1.Silo/Enqueue`, with one request and one response or a stream of them.
    ///
    /// The handler runs on a completion queue's thread and must not block. Ignored once the server has started, and for
    /// a path that is already served.
    public func register(_ path: String, _ handler: @escaping @Sendable (ServerCall) -> Void) {
        add(Method(path, .request(handler)))
    }

    /// Serves `path` with a stream of requests and a stream of responses.
    public func registerStream(_ path: String, _ handler: @escaping @Sendable (ServerStream) -> Void) {
        add(Method(path, .stream(handler)))
    }

    private func add(_ method: Method) {
        stage.withLock { stage in
            guard case .registering(let methods) = stage else { return }
            guard !methods.contains(where: { $0.path == method.path }) else { return }
            stage = .registering(methods + [method])
        }
    }

    /// Listens and serves.
    /// - Returns: the port, also when the address left it open; 1 for a Unix socket.
    /// - Throws: when the address cannot be listened on or the certificate cannot be used.
    public func start() throws(ListenError) -> Int {
        let methods: [Method]? = stage.withLock { stage in
            guard case .registering(let methods) = stage else { return nil }
            stage = .stopped
            return methods
        }
        guard let methods else { throw ListenError(address: options.address, reason: "the server was started before") }
        let (core, port) = try ServerCore.listen(options, methods)
        stage.withLock { $0 = .running(core) }
        return port
    }

    /// Takes no new calls, lets running ones finish within `grace`, and then cancels them.
    ///
    /// Returns when every call is over, every connection closed and every thread about to end. May be called again,
    /// from several tasks; the shortest grace counts. Cancelling the task ends the grace.
    public func shutdown(grace: Duration) async {
        let core: ServerCore? = stage.withLock { stage in
            if case .running(let core) = stage { return core }
            stage = .stopped
            return nil
        }
        guard let core else { return }
        core.close()
        // Busy clients hear of it before the connections close.
        try? await Task.sleep(for: min(grace, Self.farewell))
        core.beginShutdown()
        await withTaskGroup { group in
            group.addTask { await core.ended() }
            group.addTask {
                try? await Task.sleep(for: grace)
                core.cancelCalls()
            }
            await group.next()
            // When everything ended within the grace, its timer is of no use; cancelling calls then does nothing.
            group.cancelAll()
        }
    }

    /// Calls given to handlers and not yet over.
    public var runningCalls: Int {
        guard case .running(let core) = stage.withLock({ $0 }) else { return 0 }
        return core.calls.running
    }
}

/// Why a server did not start.
public struct ListenError: Error, Equatable, CustomStringConvertible {
    public let address: String
    public let reason: String

    public var description: String { "cannot listen on \(address): \(reason)" }
}

/// A path and who serves it.
final class Method: Sendable {
    enum Handler: Sendable {
        case request(@Sendable (ServerCall) -> Void)
        case stream(@Sendable (ServerStream) -> Void)
    }

    let path: String
    let handler: Handler

    init(_ path: String, _ handler: Handler) {
        self.path = path
        self.handler = handler
    }
}
