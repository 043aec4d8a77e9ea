/// A call with one request, in the hands of its handler.
///
/// Answer once, from any thread; later answers are ignored, and so are answers to a call that was cancelled. A call
/// whose last reference goes unanswered ends with `internalError`.
public final class ServerCall: Sendable {
    fileprivate let state: CallState

    init(_ state: CallState) { self.state = state }

    deinit { state.answer(CallState.Answer(status: Status(.internalError, "the handler gave no answer"))) }

    var isOpen: Bool { state.isOpen }

    public var path: String { state.path }

    /// What the method's screen found out about the caller; nil where it has none.
    public var screened: (any AnyObject & Sendable)? { state.screened }

    /// The request's headers, decoded on each look. Empty once the call is over.
    public var metadata: Metadata { state.metadata }

    /// The client's address in the C core's form, such as `ipv4:127.0.0.1:5000`. Empty once the call is over.
    public var peer: String { state.peer }

    public var deadline: ContinuousClock.Instant? { timeRemaining.map { .now + $0 } }

    /// Until the client does not wait any more; nil: it waits for ever.
    public var timeRemaining: Duration? { state.timeRemaining }

    /// Whether the client is gone, the deadline passed or the server gave up waiting. Known a moment after the first
    /// look or `onCancel`, which begin to watch the call.
    public var isCancelled: Bool { state.isCancelled }

    /// Runs `body` when the call is cancelled, at once if it was already, never after an answer. By then the call has
    /// been ended for the handler.
    public func onCancel(_ body: @escaping @Sendable () -> Void) { state.onCancel(body) }

    /// Lends the request's bytes, once: their memory is given back when this returns, and there are none the next time.
    public func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try state.withRequest(body)
    }

    /// Answers with one message and OK.
    /// - Parameter onUndelivered: runs at most once, when the client can not have got the answer: the call had ended before,
    ///   the message is too large, or the client cancelled or was gone before the answer had left. An answer that crosses a
    ///   cancellation on the network left, and counts as delivered.
    public func respond(
        _ bytes: [UInt8], trailers: Metadata = Metadata(), onUndelivered: (@Sendable () -> Void)? = nil
    ) {
        state.respond(bytes, trailers: trailers, onUndelivered: onUndelivered)
    }

    /// Answers with an error, or ends a stream with one. A message on its way goes out first.
    public func fail(_ status: Status) { state.answer(CallState.Answer(status: status)) }

    /// The same of a stream at once: a message that the client does not take is lost.
    public func abort(_ status: Status) { state.abort(CallState.Answer(status: status)) }

    /// Sends one message of a stream.
    /// - Parameter completion: true when the client's flow control took it and the next may be sent; false when the
    ///   call is over, or the message before has not been completed.
    public func send(_ bytes: [UInt8], completion: @escaping @Sendable (Bool) -> Void) { state.send(bytes, completion) }

    /// Sends one message of a stream and returns when the next may be sent.
    /// - Throws: `.cancelled` when the call is over, or the message before is still being sent.
    public func send(_ bytes: [UInt8]) async throws(Status) { try await state.send(bytes) }

    /// Ends a stream with OK. A message on its way goes out first.
    public func finish(trailers: Metadata = Metadata()) {
        state.answer(CallState.Answer(status: Status(.ok, trailers: trailers)))
    }
}

extension ServerCall: CallHeaders {
    /// The first value of a request's header. Nil once the call is over.
    public func header(_ key: String) -> [UInt8]? { state.header(key) }

    /// Empty once the call is over.
    public var certificateNames: [String] { state.certificateNames }
}

extension CallState {
    func send(_ bytes: [UInt8]) async throws(Status) {
        let isSent = await withCheckedContinuation { continuation in
            send(bytes) { continuation.resume(returning: $0) }
        }
        guard isSent else { throw Status(.cancelled, "the call is over") }
    }
}
