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
    /// Any Unicode text; it is percent-encoded on the wire, without white space at its ends.
    public var message: String
    public var trailers: Metadata

    public init(_ code: Code, _ message: String = "", trailers: Metadata = Metadata()) {
        self.code = code
        self.message = message
        self.trailers = trailers
    }
}

extension Status {
    /// The message as it is sent. Some HTTP/2 libraries drop a header whose value begins or ends with a space.
    var wireMessage: String {
        func isBlank(_ scalar: Unicode.Scalar?) -> Bool {
            scalar.map { $0.properties.isWhitespace || $0.properties.generalCategory == .control } ?? false
        }
        guard isBlank(message.unicodeScalars.first) || isBlank(message.unicodeScalars.last) else { return message }
        var scalars = Substring(message).unicodeScalars
        while isBlank(scalars.first) { scalars.removeFirst() }
        while isBlank(scalars.last) { scalars.removeLast() }
        return String(scalars)
    }
}

extension Status.Code: CustomStringConvertible {
    /// As the gRPC documents name it: `NOT_FOUND`.
    public var description: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}

extension Status: CustomStringConvertible {
    public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }
}
