import CGRPC
import Synchronization

/// One call on the server, from waiting for it to its end. Behind `ServerCall` and `ServerStream`.
///
/// Exactly one finishing batch is started for each call that arrived; when it and every other batch have completed, the
/// call is released. A server is destroyed when all its calls were answered, whoever still holds their handles.
///
/// `@unchecked Sendable`: `memory` is written by the C core while a batch is in flight and by us under the lock; the
/// request is constant from the call's arrival until `deinit`.
final class CallState: @unchecked Sendable {
    enum Target {
        case registered(Method, UnsafeMutableRawPointer)
        case unknown

        var isServedWhileClosing: Bool {
            if case .registered(let method, _) = self { method.isServedWhileClosing } else { false }
        }
    }

    private let target: Target
    private let server: ServerCore
    private let queue: CompletionQueue
    private let memory: UnsafeMutablePointer<cgrpc_server_call>
    private let progress = Mutex(CallProgress())
    private var slot = 0
    private var arrivedAt = ContinuousClock.now
    /// Nil: it was refused.
    private var admission: RunningCalls.Admission?
    /// Set before the call is given to its handler.
    private(set) var screened: (any AnyObject & Sendable)?
    /// Where its method has a limit of its own: what it holds of that.
    private var share: (limit: CallLimit, host: String)?

    init(_ target: Target, _ server: ServerCore, _ queue: CompletionQueue) {
        self.target = target
        self.server = server
        self.queue = queue
        memory = cgrpc_server_call_create()
        LiveCalls.add(1)
    }

    deinit {
        cgrpc_server_call_destroy(memory)
        LiveCalls.add(-1)
    }

    // MARK: Arrival

    /// Waits for a call.
    func request(from handle: OpaquePointer) {
        Tag.arm(&memory.pointee.requested, self) { owner, ok in takeOwner(owner, as: CallState.self).requested(ok) }
        let error: grpc_call_error
        switch target {
        case .registered(let method, let methodHandle):
            let withRequest = if case .request = method.handler { method.screen == nil } else { false }
            error = cgrpc_server_request(handle, methodHandle, withRequest, memory, queue.handle)
        case .unknown:
            error = cgrpc_server_request_unknown(handle, memory, queue.handle)
        }
        guard error != GRPC_CALL_OK else { return }
        Tag.disarm(&memory.pointee.requested)
        server.requestEnded()
    }

    private func requested(_ ok: Bool) {
        // Not ok: the server is going down, and with it this request.
        guard ok else { return server.requestEnded() }
        arrivedAt = .now
        slot = server.calls.insert(self)
        // This call keeps the server from being destroyed.
        server.request(target, on: queue)
        let isCancelled = progress.withLock { progress in
            progress.phase = .open
            return progress.isCancelled
        }
        guard !isCancelled, !server.isClosing || target.isServedWhileClosing else { return answer(.shuttingDown) }
        guard case .registered(let method, _) = target else {
            return answer(Answer(status: Status(.unimplemented, "unknown method \(path)")))
        }
        // Strangers take nothing of what others may run, though they do not take their answers.
        switch method.screen?(self) {
        case .refused(let refusal)?: return answer(Answer(status: refusal))
        case .admitted(let found)?: screened = found
        case nil: break
        }
        guard admit(method) else {
            return answer(Answer(status: Status(.resourceExhausted, "the server is running as many calls as it may")))
        }
        if let left = memory.pointee.deadline.remaining, left <= .zero {
            return answer(Answer(status: Status(.deadlineExceeded, "Deadline Exceeded")))
        }
        switch method.handler {
        case .request: if method.screen == nil { serve() } else { readRequest() }
        case .stream(let handler): handler(ServerStream(self))
        }
    }

    private func admit(_ method: Method) -> Bool {
        let admission: RunningCalls.Admission = method.limit == nil ? .limited : .apart
        if let limit = method.limit {
            let host = CallLimit.host(of: peer)
            guard limit.enter(host) else { return false }
            share = (limit, host)
        }
        guard server.calls.admit(admission) else { return false }
        self.admission = admission
        return true
    }

    /// Gives a call with its request to the handler.
    private func serve() {
        guard case .registered(let method, _) = target, case .request(let handler) = method.handler else { return }
        // The client closed its side without a message.
        guard let request = memory.pointee.request else {
            return answer(Answer(status: Status(.internalError, "the request has no message")))
        }
        let call = ServerCall(self)
        guard grpc_byte_buffer_length(request) >= LargeRequests.bytesMin else { return handler(call) }
        // Asking begins the watch: whoever leaves meanwhile is not read for.
        guard !isCancelled else { return answer(Self.left) }
        server.largeRequests.run { [self] in
            guard call.isOpen else { return }
            if isCancelled { answer(Self.left) } else { handler(call) }
        }
    }

    private static let left = Answer(status: Status(.cancelled, "the caller has left"))

    /// Reads the request of a call whose headers were looked at first.
    private func readRequest() {
        let isStarted = progress.withLock { progress in
            guard progress.isOpen else { return true }
            Tag.arm(&memory.pointee.received, self) { owner, _ in takeOwner(owner, as: CallState.self).requestRead() }
            // As a rule the message came with the headers.
            guard queue.begin({ cgrpc_server_receive_request(memory) }) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.received)
                return false
            }
            progress.batches += 1
            return true
        }
        if !isStarted { answer(Answer(status: Status(.internalError, "the request cannot be read"))) }
    }

    private func requestRead() {
        let isOpen = progress.withLock { $0.isOpen }
        batchEnded()
        if isOpen { serve() }
    }

    private var observer: CallObserver? {
        if case .registered(let method, _) = target { method.observer } else { server.options.unknownObserver }
    }

    // MARK: What is known of the call

    /// Not answered, and not cancelled as far as is known.
    var isOpen: Bool { progress.withLock { $0.isOpen } }

    var path: String {
        switch target {
        case .registered(let method, _): method.path
        case .unknown: String(slice: &memory.pointee.details.method)
        }
    }

    /// Nil: none.
    var timeRemaining: Duration? { memory.pointee.deadline.remaining }

    /// Empty once the call is over.
    var metadata: Metadata {
        progress.withLock { _ in memory.pointee.call == nil ? Metadata() : Metadata(memory.pointee.metadata) }
    }

    /// Empty once the call is over.
    var peer: String {
        progress.withLock { _ in
            guard let call = memory.pointee.call, let text = grpc_call_get_peer(call) else { return "" }
            defer { gpr_free(text) }
            return String(cString: text)
        }
    }

    /// Lends the request's bytes, once, and gives their memory back. The handler's alone to call.
    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        guard let request = memory.pointee.request else {
            return try body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        defer { cgrpc_message_drop(&memory.pointee.request) }
        if let start = cgrpc_message_whole(request) {
            return try body(UnsafeRawBufferPointer(start: start, count: grpc_byte_buffer_length(request)))
        }
        return try [UInt8](message: request).withUnsafeBytes(body)
    }

    // MARK: Cancellation

    /// The first look starts the watch.
    var isCancelled: Bool {
        progress.withLock { progress in
            watch(&progress)
            return progress.isCancelled
        }
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = progress.withLock { progress in
            guard !progress.isCancelled else { return true }
            if progress.isOpen {
                progress.onCancel.append(body)
                watch(&progress)
            }
            return false
        }
        if isCancelled { body() }
    }

    private func watch(_ progress: inout CallProgress) {
        guard progress.isOpen, !progress.isWatched else { return }
        Tag.arm(&memory.pointee.closed, self) { owner, _ in takeOwner(owner, as: CallState.self).closed() }
        guard cgrpc_server_watch(memory) == GRPC_CALL_OK else { return Tag.disarm(&memory.pointee.closed) }
        progress.isWatched = true
        progress.batches += 1
    }

    private func closed() {
        // Before an answer only the client, the deadline or the server's end can have closed the call.
        end(Answer(status: Status(.cancelled, "the client is gone")), isCancelling: true)
        batchEnded()
    }

    func cancelForShutdown() { end(.shuttingDown, isCancelling: true) }

    // MARK: Sending and receiving

    /// Sends one message. `completion(false)`: it did not go out, or another one is still on its way.
    func send(_ bytes: [UInt8], _ completion: @escaping @Sendable (Bool) -> Void) {
        guard bytes.count <= server.options.maxMessageBytes else {
            answer(tooLarge(bytes.count))
            return completion(false)
        }
        let isStarted = progress.withLock { progress in
            guard progress.isOpen, progress.sending == nil else { return false }
            memory.pointee.outgoing = bytes.message()
            Tag.arm(&memory.pointee.sent, self) { owner, ok in takeOwner(owner, as: CallState.self).sent(ok) }
            guard cgrpc_server_send(memory, !progress.hasSentHeaders) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.sent)
                cgrpc_message_drop(&memory.pointee.outgoing)
                return false
            }
            progress.hasSentHeaders = true
            progress.sending = completion
            progress.batches += 1
            return true
        }
        if !isStarted { completion(false) }
    }

    private func sent(_ ok: Bool) {
        let (completion, waiting) = progress.withLock { progress in
            defer { progress.sending = nil }
            cgrpc_message_drop(&memory.pointee.outgoing)
            guard case .answering(let answer) = progress.phase else { return (progress.sending, nil as Answer?) }
            progress.finish(with: answer)
            return (progress.sending, answer)
        }
        if let waiting { finish(waiting) }
        batchEnded()
        completion?(ok)
    }

    /// Receives one message of a stream. Nil: there is none any more, or a receive is under way.
    func receive(_ completion: @escaping @Sendable ([UInt8]?) -> Void) {
        let isStarted = progress.withLock { progress in
            guard progress.isOpen, progress.receiving == nil else { return false }
            Tag.arm(&memory.pointee.received, self) { owner, ok in takeOwner(owner, as: CallState.self).received(ok) }
            guard cgrpc_server_receive(memory) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.received)
                return false
            }
            progress.receiving = completion
            progress.batches += 1
            return true
        }
        if !isStarted { completion(nil) }
    }

    private func received(_ ok: Bool) {
        let (completion, message) = progress.withLock { progress in
            defer { progress.receiving = nil }
            let message = ok ? memory.pointee.incoming.map { [UInt8](message: $0) } : nil
            cgrpc_message_drop(&memory.pointee.incoming)
            return (progress.receiving, message)
        }
        batchEnded()
        completion?(message)
    }

    // MARK: The end

    func respond(_ bytes: [UInt8], trailers: Metadata, onUndelivered: (@Sendable () -> Void)?) {
        guard bytes.count <= server.options.maxMessageBytes else {
            answer(tooLarge(bytes.count))
            onUndelivered?()
            return
        }
        answer(Answer(message: bytes, status: Status(.ok, trailers: trailers), onUndelivered: onUndelivered))
    }

    private func tooLarge(_ count: Int) -> Answer {
        let text = "the answer has \(count) bytes, and a message at most \(server.options.maxMessageBytes): ask for less at once"
        return Answer(status: Status(.outOfRange, text))
    }

    /// Ends the call. Only the first answer counts.
    func answer(_ answer: Answer) { end(answer, isCancelling: false) }

    /// The same without waiting for a message on its way. The client is told the status all the same.
    func abort(_ answer: Answer) {
        self.answer(answer)
        progress.withLock { progress in
            guard progress.sending != nil, let call = memory.pointee.call else { return }
            let code = grpc_status_code(answer.status.code.rawValue)
            _ = answer.status.wireMessage.withCString { grpc_call_cancel_with_status(call, code, $0, nil) }
        }
    }

    private func end(_ answer: Answer, isCancelling: Bool) {
        let (isReady, onCancel) = progress.withLock { progress in
            // A call that has only just arrived is ended when it is about to be given to its handler.
            if isCancelling, progress.mayBeCancelled { progress.isCancelled = true }
            guard progress.isOpen else { return (nil as Bool?, [@Sendable () -> Void]()) }
            defer { progress.onCancel = [] }
            guard progress.sending == nil else {
                progress.phase = .answering(answer)
                return (false, progress.onCancel)
            }
            progress.finish(with: answer)
            return (true, progress.onCancel)
        }
        switch isReady {
        case true?: finish(answer)
        case false?: break
        // Another answer came before it.
        case nil: answer.onUndelivered?()
        }
        if isCancelling { for body in onCancel { body() } }
        // The closures may hold the last handle of this call, whose end takes the lock: they go after it was left.
        withExtendedLifetime(onCancel) {}
    }

    /// Outside the lock, which the completion takes on another thread: nobody else starts a batch after `.answered`.
    private func finish(_ answer: Answer) {
        observer?(answer.status.code, arrivedAt.duration(to: .now))
        let (isWatched, hasSentHeaders) = progress.withLock { ($0.isWatched, $0.hasSentHeaders) }
        if let message = answer.message { memory.pointee.outgoing = message.message() }
        if !answer.status.trailers.isEmpty { memory.pointee.trailers = answer.status.trailers.copied().0 }
        var text = answer.status.wireMessage
        Tag.arm(&memory.pointee.finished, self) { owner, ok in
            takeOwner(owner, as: CallState.self).batchEnded(isFailed: !ok)
        }
        let error = text.withUTF8 { text in
            cgrpc_server_finish(
                memory, !hasSentHeaders, !isWatched, answer.status.code.rawValue, text.baseAddress, text.count
            )
        }
        guard error != GRPC_CALL_OK else { return }
        // Not known to happen. The stream must be closed before its call may be released.
        Tag.disarm(&memory.pointee.finished)
        if let call = memory.pointee.call { grpc_call_cancel(call, nil) }
        batchEnded(isFailed: true)
    }

    /// - Parameter isFailed: it was the finishing batch, and the answer did not go out.
    private func batchEnded(isFailed: Bool = false) {
        let (ended, onUndelivered, isDelivered): (CoreHandle?, (@Sendable () -> Void)?, Bool) = progress.withLock { progress in
            progress.batches -= 1
            if isFailed { progress.isUndelivered = true }
            guard progress.batches == 0, case .answered = progress.phase else { return (nil, nil, false) }
            progress.phase = .over
            defer {
                memory.pointee.call = nil
                progress.onUndelivered = nil
            }
            // By now the core has said whether the call was cancelled before its status went out.
            let isDelivered = !progress.isUndelivered && memory.pointee.cancelled == 0
            return (memory.pointee.call.map { CoreHandle(pointer: $0) }, progress.onUndelivered, isDelivered)
        }
        guard let ended else { return }
        grpc_call_unref(ended.pointer)
        if let share { share.limit.leave(share.host) }
        server.callEnded(slot, admission)
        if !isDelivered { onUndelivered?() }
    }
}

extension CallState: CallHeaders {
    func header(_ key: String) -> [UInt8]? {
        progress.withLock { _ in
            guard memory.pointee.call != nil, let value = cgrpc_metadata_find(&memory.pointee.metadata, key) else { return nil }
            return [UInt8](slice: value)
        }
    }

    var certificateNames: [String] {
        progress.withLock { _ in
            guard let call = memory.pointee.call else { return [] }
            return call.peerValues(GRPC_X509_SUBJECT_PROPERTY_NAME)
                + call.peerValues(GRPC_PEER_DNS_PROPERTY_NAME).map { "DNS:" + $0 }
                + call.peerValues(GRPC_PEER_URI_PROPERTY_NAME).map { "URI:" + $0 }
        }
    }
}

extension OpaquePointer {
    /// The values of one property of the certificate that a call's peer showed.
    fileprivate func peerValues(_ property: String) -> [String] {
        var values: [String] = []
        withUnsafeMutablePointer(to: &values) { values in
            cgrpc_call_peer_values(self, property, values) { context, value, count in
                let bytes = UnsafeRawBufferPointer(start: value, count: count)
                context.assumingMemoryBound(to: [String].self).pointee.append(String(decoding: bytes, as: UTF8.self))
            }
        }
        return values
    }
}
