/// A call with streams in both directions, in the hands of its handler.
///
/// Messages may be received and sent at the same time, one of each at once. It ends by `finish` or `fail`; one whose
/// last reference goes without ends with `internalError`.
public final class ServerStream: Sendable {
    private let state: CallState

    init(_ state: CallState) { self.state = state }

    deinit { state.answer(CallState.Answer(status: Status(.internalError, "the handler gave no answer"))) }

    public var path: String { state.path }

    /// The request's headers, decoded on each look. Empty once the call is over.
    public var metadata: Metadata { state.metadata }

    /// The client's address in the C core's form, such as `ipv4:127.0.0.1:5000`. Empty once the call is over.
    public var peer: String { state.peer }

    public var deadline: ContinuousClock.Instant? { state.timeRemaining.map { .now + $0 } }

    /// See `ServerCall.isCancelled`.
    public var isCancelled: Bool { state.isCancelled }

    /// See `ServerCall.onCancel`.
    public func onCancel(_ body: @escaping @Sendable () -> Void) { state.onCancel(body) }

    /// Gives the next message; nil when the client has sent its last or is gone, or a receive is under way.
    public func receive(completion: @escaping @Sendable ([UInt8]?) -> Void) { state.receive(completion) }

    /// The next message; nil when the client has sent its last or is gone.
    public func receive() async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            state.receive { continuation.resume(returning: $0) }
        }
    }

    /// See `ServerCall.send`.
    public func send(_ bytes: [UInt8], completion: @escaping @Sendable (Bool) -> Void) { state.send(bytes, completion) }

    /// See `ServerCall.send`.
    public func send(_ bytes: [UInt8]) async throws(Status) { try await state.send(bytes) }

    /// Ends the call with OK. A message on its way goes out first.
    public func finish(trailers: Metadata = Metadata()) {
        state.answer(CallState.Answer(status: Status(.ok, trailers: trailers)))
    }

    /// Ends the call with an error, at once: a message that the client does not take is lost.
    public func abort(_ status: Status) { state.abort(CallState.Answer(status: status)) }

    /// Ends the call with an error. A message on its way goes out first.
    public func fail(_ status: Status) { state.answer(CallState.Answer(status: status)) }
}
