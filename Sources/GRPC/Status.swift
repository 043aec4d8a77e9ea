/// How a call ended: a code, a message for people, and trailing metadata.
public struct Status: Error, Equatable, Sendable {
    /// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
    public enum Code: Int32, Sendable, CaseIterable {
        case ok = 0
        case cancelled
        case unknown
        case invalidArgument
        case deadlineExceeded
        case notFound
        case alreadyExists
        case permissionDenied
        case resourceExhausted
        case failedPrecondition
        case aborted
        case outOfRange
        case unimplemented
        case internalError
        case unavailable
        case dataLoss
        case unauthenticated
    }

    public var code: Code
    /// Any Unicode text; it is percent-encoded on the wire.
    public var message: String
    public var trailers: Metadata

    public init(_ code: Code, _ message: String = "", trailers: Metadata = Metadata()) {
        self.code = code
        self.message = message
        self.trailers = trailers
    }
}

extension Status: CustomStringConvertible {
    public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }
}
