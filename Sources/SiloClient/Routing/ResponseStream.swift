package import GRPC
package import Protobuf

/// The responses of a call, of which the first is here. The next one is asked of the server when it is asked for here; dropping
/// the stream or cancelling its task ends the call.
package struct ResponseStream<Response: Message>: Sendable {
    private let call: ServerStreamingCall
    private let path: String
    /// Nil when it was read, or there was none.
    private var first: [UInt8]?
    private var isOver: Bool

    /// Waits for the first response, or for the end of a stream that has none.
    init(_ call: ServerStreamingCall, of path: String) async throws(Status) {
        self.call = call
        self.path = path
        var responses = call.makeAsyncIterator()
        first = try await responses.next()
        isOver = first == nil
    }

    /// Nil: the call ended with OK.
    package mutating func next() async throws(Status) -> Response? {
        guard !isOver else { return nil }
        var responses = call.makeAsyncIterator()
        guard let bytes = if let first { first } else { try await responses.next() } else {
            isOver = true
            return nil
        }
        first = nil
        do { return try Response(serializedBytes: bytes) } catch {
            throw Status(.internalError, "a response to \(path) is no valid \(Response.messageName): \(error)")
        }
    }
}
