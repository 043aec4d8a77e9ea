import CGRPC
import Synchronization

/// A client's way to one server, which connects by itself at the first call and again after each loss.
///
/// While there is no connection and the last attempt failed, calls end at once with `unavailable`.
/// Completions run on one thread shared by all channels of the process and must not block.
///
public final class Channel: Sendable {
    /// Nil once closed. The lock keeps the channel from being destroyed while a call is made.
    private let handle: Mutex<CoreHandle?>
    private let queue: CompletionQueue

    /// - Parameter target: `host:port`, `unix:path` or another name the C core resolves. One that makes no sense, or
    ///   TLS material that cannot be used, shows in the calls: they end with `unavailable`.
    public init(target: String, _ options: ChannelOptions = ChannelOptions()) {
        Library.start()
        queue = options.isQuiet ? .quiet : .client
        let credentials = options.tls.map { $0.credentials() } ?? grpc_insecure_credentials_create()
        defer { if let credentials { grpc_channel_credentials_release(credentials) } }
        let channel = credentials == nil
            ? grpc_lame_client_channel_create(target, GRPC_STATUS_UNAVAILABLE, "the TLS material cannot be used")
            : options.arguments.lend { grpc_channel_create(target, credentials, &$0) }
        handle = Mutex(channel.map { CoreHandle(pointer: $0) })
    }

    deinit { close() }

    /// Closes the connections. Later calls end with `unavailable`, and so may those under way.
    public func close() {
        let channel = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let channel { grpc_channel_destroy(channel.pointer) }
    }

    /// Calls a method with one request and one response.
    /// - Parameter completion: called once, on the completion queue's thread, or on this one when the call cannot
    ///   start.
    /// - Returns: the call, which may be dropped.
    @discardableResult
    public func unary(
        _ path: String, _ request: [UInt8], metadata: Metadata = Metadata(), timeout: Duration? = nil,
        completion: @escaping @Sendable (Result<[UInt8], Status>) -> Void
    ) -> ClientCall {
        let call = ClientCall()
        call.start(on: self, path, request, metadata, timeout, completion)
        return call
    }

    /// Calls a method with one request and one response. Cancelling the task cancels the call.
    /// - Throws: the status when it is not OK; `.cancelled` when the task is.
    public func unary(
        _ path: String, _ request: [UInt8], metadata: Metadata = Metadata(), timeout: Duration? = nil
    ) async throws(Status) -> [UInt8] {
        let call = ClientCall()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.start(on: self, path, request, metadata, timeout) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            call.cancel()
        }
        return try result.get()
    }

    /// Calls a method with one request and a stream of responses, which goes as fast as it is read.
    public func serverStream(
        _ path: String, _ request: [UInt8], metadata: Metadata = Metadata(), timeout: Duration? = nil
    ) -> ServerStreamingCall {
        let call = StreamState()
        call.start(on: self, path, request, metadata, timeout)
        return ServerStreamingCall(call)
    }

    /// A call of the C core, owned by the caller; nil when the channel is closed.
    /// - Parameter isUnary: it has one operation, of whose start `operationBegan` is told.
    func makeCall(_ path: String, timeout: Duration?, isUnary: Bool) -> OpaquePointer? {
        let queue = isUnary ? queue : .client
        let deadline = gpr_timespec.after(timeout)
        let call: CoreHandle? = handle.withLock { handle in
            guard let handle else { return nil }
            var path = path
            return path.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { bytes in
                    guard let start = bytes.baseAddress else { return nil }
                    return cgrpc_channel_call(handle.pointer, queue.handle, start, bytes.count, deadline)
                        .map { CoreHandle(pointer: $0) }
                }
            }
        }
        return call?.pointer
    }

    /// The operation of a unary call was started.
    func operationBegan() { queue.operationBegan() }
}
