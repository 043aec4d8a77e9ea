package import GRPC

/// The way to one server: a channel of gRPC, or a simulated wire.
package protocol Transport: Sendable {
    /// Calls a method with one request and one response. Cancelling the task cancels the call.
    /// - Throws: the status when it is not OK; `.cancelled` when the task is.
    func unary(
        _ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?
    ) async throws(Status) -> [UInt8]

    /// Later calls end with `unavailable`, and so may those under way.
    func close()
}

/// One that brings streams too.
package protocol StreamTransport: Transport {
    /// Calls a method with one request and a stream of responses, which goes as fast as it is read.
    func serverStream(_ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?) -> ServerStreamingCall
}

extension Channel: StreamTransport {}
