import CGRPC
import Synchronization

/// A listening server of the C core, with its queues, from start to the end of its last thread.
///
/// `@unchecked Sendable`: a `grpc_server` may be used from any thread; it is destroyed once, after which nobody holds a
/// call to reach it through. The rest is constant or has its own lock.
final class ServerCore: @unchecked Sendable {
    let options: ServerOptions
    let calls: RunningCalls
    private let handle: OpaquePointer
    /// Nil: it serves in plain text.
    let certificate: ServedCertificate?
    private let end: EndSignal
    private let queues: [CompletionQueue]
    let largeRequests: LargeRequests
    /// The core's own handle of each method.
    private var methods: [(method: Method, handle: UnsafeMutableRawPointer)] = []
    private let shutdownTag: UnsafeMutablePointer<cgrpc_tag>
    /// Where the core keeps its handler of connections that we accept.
    private let connectionHandler: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private var acceptor: Acceptor?
    private let isShuttingDown = Mutex(false)
    private let closing = Atomic(false)

    /// How many calls of one method may arrive between two looks at the queue without waiting inside the core.
    private static let requestsPerMethod = 16

    /// - Parameter sockets: nil: those of the options' address.
    static func listen(
        _ options: ServerOptions, _ methods: [Method], on sockets: ListeningSockets?
    ) throws(ListenError) -> (ServerCore, port: Int) {
        func refuse(_ reason: String) -> ListenError { ListenError(address: options.address, reason: reason) }
        Library.start()
        let certificate: ServedCertificate?
        do throws(ServerTLS.Mistake) {
            certificate = if let tls = options.tls { try ServedCertificate(tls) } else { nil }
        } catch {
            throw refuse("\(error)")
        }
        let made = certificate.map { $0.credentials() } ?? grpc_insecure_server_credentials_create()
        guard let credentials = made else { throw refuse("the TLS certificate or key cannot be used") }
        defer { grpc_server_credentials_release(credentials) }
        guard let core = ServerCore(options, certificate) else { throw refuse("the server cannot be made") }
        for method in methods {
            guard core.add(method) else {
                core.abandon()
                throw refuse("the method path \(method.path) cannot be used")
            }
        }
        _ = grpc_server_add_http2_port(core.handle, CGRPC_EXTERNAL_ADDRESS, credentials)
        guard let handler = core.connectionHandler.pointee else {
            core.abandon()
            throw refuse(options.tls == nil ? "the C core takes no connections from us"
                : "the TLS certificate or key cannot be used")
        }
        let listening: ListeningSockets
        do throws(ListenError) {
            listening = if let sockets { sockets } else { try ListeningSockets.open(options) }
        } catch {
            core.abandon()
            throw error
        }
        core.start()
        core.accept(listening, CoreHandle(pointer: OpaquePointer(handler)))
        return (core, listening.port)
    }

    private init?(_ options: ServerOptions, _ certificate: ServedCertificate?) {
        let quota = options.maxBufferedBytes.map { bytes in
            let quota = grpc_resource_quota_create("server")
            grpc_resource_quota_resize(quota, bytes)
            return quota
        } ?? nil
        defer { if let quota { grpc_resource_quota_unref(quota) } }
        let connectionHandler = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 1)
        connectionHandler.initialize(to: nil)
        let made = options.arguments.lend(memoryQuota: quota, external: connectionHandler) { grpc_server_create(&$0, nil) }
        guard let handle = made else {
            connectionHandler.deallocate()
            return nil
        }
        self.connectionHandler = connectionHandler
        self.options = options
        self.certificate = certificate
        self.handle = handle
        calls = RunningCalls(limit: options.maxConcurrentCalls, onEnd: options.callEnded)
        let count = max(1, options.completionQueues)
        // The queues, what accepts connections, and what reads large requests.
        let end = EndSignal(parts: count + 2)
        self.end = end
        largeRequests = LargeRequests { end.partEnded() }
        queues = (0..<count).map { _ in
            CompletionQueue(
                name: "grpc-server", threads: max(1, options.threadsPerQueue), runner: options.eventRunner,
                ended: { end.partEnded() }
            )
        }
        shutdownTag = .allocate(capacity: 1)
        shutdownTag.initialize(to: cgrpc_tag())
        for queue in queues { grpc_server_register_completion_queue(handle, queue.handle, nil) }
    }

    deinit {
        shutdownTag.deallocate()
        connectionHandler.deallocate()
    }

    private func add(_ method: Method) -> Bool {
        let payload: grpc_server_register_method_payload_handling = switch method.handler {
        case .request where method.screen == nil: GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER
        case .request, .stream: GRPC_SRM_PAYLOAD_NONE
        }
        guard let handle = grpc_server_register_method(handle, method.path, nil, payload, 0) else { return false }
        methods.append((method, handle))
        return true
    }

    private func start() {
        grpc_server_start(handle)
        for queue in queues {
            for (method, handle) in methods {
                for _ in 0..<Self.requestsPerMethod { request(.registered(method, handle), on: queue) }
            }
            for _ in 0..<Self.requestsPerMethod { request(.unknown, on: queue) }
        }
    }

    private func accept(_ sockets: ListeningSockets, _ handler: CoreHandle) {
        let acceptor = Acceptor(sockets, descriptorsMax: options.connectionDescriptorsMax, serve: { listener, connection in
            cgrpc_serve_connection(UnsafeMutableRawPointer(handler.pointer), listener, connection)
        }, refused: options.connectionRefused)
        self.acceptor = acceptor
        acceptor.start { [end] in end.partEnded() }
    }

    /// Waits for one more call of `target`. Does nothing when the server is going down.
    func request(_ target: CallState.Target, on queue: CompletionQueue) {
        calls.awaited()
        CallState(target, self, queue).request(from: handle)
    }

    /// No call came of a request.
    func requestEnded() {
        if calls.ended() { destroy() }
    }

    /// A call is over and the core's part of it released.
    func callEnded(_ slot: Int, _ admission: RunningCalls.Admission?) {
        if calls.remove(slot, admission) { destroy() }
    }

    // MARK: Going down

    /// Refuses new calls with UNAVAILABLE. Once it goes down, the core itself ends what just came with CANCELLED, which
    /// clients do not repeat.
    func close() { closing.store(true, ordering: .relaxed) }
    var isClosing: Bool { closing.load(ordering: .relaxed) }

    /// Closes the connections there are; clients may come back at once, to be refused.
    func disconnect() { cancelling {} }

    /// Takes no new calls. Safe to repeat.
    func beginShutdown() {
        let isFirst = isShuttingDown.withLock { isShuttingDown in
            defer { isShuttingDown = true }
            return !isShuttingDown
        }
        guard isFirst else { return }
        // Nothing may be handed to a server that goes down.
        acceptor?.close()
        Tag.arm(&shutdownTag.pointee, self) { owner, _ in takeOwner(owner, as: ServerCore.self).drained() }
        grpc_server_shutdown_and_notify(handle, queues[0].handle, shutdownTag)
    }

    /// Ends what still runs after `beginShutdown`, also calls that did not reach a handler yet.
    func cancelCalls() {
        cancelling { for call in calls.all { call.cancelForShutdown() } }
    }

    /// Ends what the core knows of, after `body`; nothing when the server is gone already, as in a second shutdown.
    private func cancelling(_ body: () -> Void) {
        guard calls.beginCancelling() else { return }
        body()
        grpc_server_cancel_all_calls(handle)
        if calls.endCancelling() { destroy() }
    }

    /// Every connection is closed. Calls that were cut off with theirs may still be in handlers.
    private func drained() {
        if calls.drained() { destroy() }
    }

    private func destroy() {
        grpc_server_destroy(handle)
        largeRequests.close()
        for queue in queues { queue.shutdown() }
    }

    /// Takes down a server that never started.
    private func abandon() {
        beginShutdown()
    }

    /// Returns when the last thread is done with the queues, and the address is free.
    func ended() async { await end.wait() }
}
