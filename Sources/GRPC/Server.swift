import CGRPC
import Synchronization

/// A gRPC server: register methods, start, shut down.
public final class Server: Sendable {
    /// How long calls are refused before the connections close.
    private static let farewell = Duration.milliseconds(100)

    private let options: ServerOptions
    private let stage: Mutex<Stage>

    private enum Stage {
        /// May be followed by `.starting` or `.stopped`.
        case registering([Method])
        /// `start` is at work, and will tell. Followed by `.running` or `.stopped`.
        case starting(EndSignal)
        /// May be followed by nothing: the core knows whether it is going down.
        case running(ServerCore)
        /// Could not be started, or was shut down before.
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
    /// The handler runs on a completion queue's thread and must not block; for a request of 32 KiB or more on another one, where
    /// large requests are read one after another. Ignored once the server has started, and for a path that is already served.
    /// - Parameters:
    ///   - isServedWhileClosing: also after `refuseCalls`, as those who ask after the server's health need.
    ///   - limit: counts its calls, instead of `ServerOptions.maxConcurrentCalls`.
    ///   - screen: looks at the headers before the request is read: what it refuses costs no memory. Nil reads at once,
    ///     which is a little faster.
    public func register(
        _ path: String, isServedWhileClosing: Bool = false, limit: CallLimit? = nil, screen: Screen? = nil,
        _ handler: @escaping @Sendable (ServerCall) -> Void
    ) {
        add(Method(
            path, .request(handler), isServedWhileClosing: isServedWhileClosing, limit: limit, screen: screen,
            observer: options.observer(path)
        ))
    }

    /// Lets a call in, or tells why not, by its headers.
    public typealias Screen = @Sendable (any CallHeaders) -> Screening

    public enum Screening: Sendable {
        /// With what was found out about the caller: see `ServerCall.screened`.
        case admitted((any AnyObject & Sendable)?)
        case refused(Status)
    }

    /// Serves `path` with a stream of requests and a stream of responses.
    /// - Parameter limit: see `register`.
    public func registerStream(_ path: String, limit: CallLimit? = nil, _ handler: @escaping @Sendable (ServerStream) -> Void) {
        add(Method(path, .stream(handler), limit: limit, observer: options.observer(path)))
    }

    private func add(_ method: Method) {
        stage.withLock { stage in
            guard case .registering(let methods) = stage else { return }
            guard !methods.contains(where: { $0.path == method.path }) else { return }
            stage = .registering(methods + [method])
        }
    }

    /// Listens and serves.
    /// - Parameter sockets: were opened for these options before, and are this server's from now on.
    /// - Returns: the port, also when the address left it open; 1 for a Unix socket.
    /// - Throws: when the address cannot be listened on or the certificate cannot be used.
    public func start(on sockets: ListeningSockets? = nil) throws(ListenError) -> Int {
        let started = EndSignal(parts: 1)
        let methods: [Method]? = stage.withLock { stage in
            guard case .registering(let methods) = stage else { return nil }
            stage = .starting(started)
            return methods
        }
        guard let methods else { throw ListenError(address: options.address, reason: "the server was started before") }
        defer { started.partEnded() }
        do {
            let (core, port) = try ServerCore.listen(options, methods, on: sockets)
            stage.withLock { $0 = .running(core) }
            return port
        } catch {
            stage.withLock { $0 = .stopped }
            throw error
        }
    }

    /// Takes no new calls, lets running ones finish within `grace`, and then cancels them.
    ///
    /// Returns when every call is over, every connection closed and every thread about to end. May be called again,
    /// from several tasks; the shortest grace counts. Cancelling the task ends the grace.
    public func shutdown(grace: Duration) async {
        guard let core = await takeDown() else { return }
        core.close()
        let begun = ContinuousClock.now
        // The core ends calls that come while it goes down with CANCELLED, which clients do not repeat. So it is kept up
        // while calls run, refusing new ones, and goes down at once when they are over.
        while begun.duration(to: .now) < grace, core.calls.running > 0 || begun.duration(to: .now) < Self.farewell {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { break }
        }
        core.disconnect()
        // Connections close in their own time, before new ones are made.
        try? await Task.sleep(for: .milliseconds(2))
        core.beginShutdown()
        core.cancelCalls()
        await core.ended()
    }

    /// What is running, once `start` is done; nil when nothing is and nothing will be.
    private func takeDown() async -> ServerCore? {
        while true {
            let (core, starting): (ServerCore?, EndSignal?) = stage.withLock { stage in
                switch stage {
                case .running(let core): return (core, nil)
                case .starting(let started): return (nil, started)
                case .registering, .stopped:
                    stage = .stopped
                    return (nil, nil)
                }
            }
            guard let starting else { return core }
            await starting.wait()
        }
    }

    /// Serves the connections to come with a renewed certificate; those there are keep theirs. Whether callers need one of their
    /// own stays as it was.
    /// - Throws: what is wrong with it; the old one stays. Also when the server was started without TLS.
    public func renew(_ tls: ServerTLS) throws(ServerTLS.Mistake) {
        guard case .running(let core) = stage.withLock({ $0 }), let certificate = core.certificate else {
            throw ServerTLS.Mistake("the server does not speak TLS")
        }
        try certificate.renew(tls)
    }

    /// Answers new calls with UNAVAILABLE from now on; those that run go on.
    public func refuseCalls() {
        if case .running(let core) = stage.withLock({ $0 }) { core.close() }
    }

    /// Runs at most so many calls at once from now on, in place of `ServerOptions.maxConcurrentCalls`; those that run go on.
    public func limitCalls(_ count: Int) {
        if case .running(let core) = stage.withLock({ $0 }) { core.calls.setLimit(count) }
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
    let isServedWhileClosing: Bool
    let limit: CallLimit?
    let screen: Server.Screen?
    let observer: CallObserver?

    init(
        _ path: String, _ handler: Handler, isServedWhileClosing: Bool = false, limit: CallLimit? = nil,
        screen: Server.Screen? = nil, observer: CallObserver? = nil
    ) {
        self.path = path
        self.handler = handler
        self.isServedWhileClosing = isServedWhileClosing
        self.limit = limit
        self.screen = screen
        self.observer = observer
    }
}
