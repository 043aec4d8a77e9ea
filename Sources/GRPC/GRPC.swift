import CGRPC

/// gRPC over its C core: servers and channels that carry bytes. Nothing outside this target sees C.
///
/// A server calls its handlers on the threads of its completion queues, or on one for large requests; channels call completions
/// on one thread that the process shares. Neither may be blocked. Nothing here knows Protobuf.
enum Library {
    /// Starts the C core, once. It is never stopped: messages may outlive the server or channel they came from, and it
    /// keeps only a timer thread.
    static func start() { _ = started }

    private static let started: Void = grpc_init()
}
