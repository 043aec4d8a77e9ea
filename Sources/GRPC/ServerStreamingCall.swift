/// The responses of a streaming call, read once. The next one is asked of the server's connection when it is asked for
/// here. Dropping the call, breaking out of the loop or cancelling its task cancels it.
public struct ServerStreamingCall: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    public typealias Failure = Status

    private let handle: Handle

    init(_ state: StreamState) { handle = Handle(state) }

    /// Ends the call with `cancelled` unless it is over.
    public func cancel() { handle.state.cancel() }

    public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let handle: Handle

        /// The next message; nil when the call ended with OK.
        /// - Throws: the status when it is not OK.
        public mutating func next() async throws(Status) -> [UInt8]? {
            let state = handle.state
            let result = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    state.receive { continuation.resume(returning: $0) }
                }
            } onCancel: {
                state.cancel()
            }
            return try result.get()
        }
    }

    /// Cancels the call when the last copy of the sequence and its iterators is gone.
    fileprivate final class Handle: Sendable {
        let state: StreamState

        init(_ state: StreamState) { self.state = state }

        deinit { state.cancel() }
    }
}
