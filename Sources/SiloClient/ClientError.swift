public import GRPC

/// What can go wrong with a request, as the caller can act on it.
public enum ClientError: Error, Equatable, Sendable, CustomStringConvertible {
    case jobNotFound(String)
    case jobAlreadyExists(String)
    /// The job has no result yet; the text names its status.
    case jobNotFinished(String)
    /// The job's state does not allow it: cancelled twice, restarted while it runs, deleted before it ended.
    case refused(String)
    /// The request breaks a bound; the text names the field and the bound.
    case invalidArgument(String)
    /// The lease is not this worker's any more: stop the work.
    case leaseLost(String)
    /// No server answered, or none took the request, after all retries.
    case unavailable(String)
    case timedOut(String)
    /// The request or its answer is larger than a message may be. Repeating it does not help.
    case tooLarge(String)
    /// A payload or result that does not decode as the wanted type.
    case undecodable(String)
    /// Anything else, as the server said it.
    case other(Status)

    public var description: String {
        switch self {
        case .jobNotFound(let id): "job \(id) not found"
        case .jobAlreadyExists(let id): "job \(id) already exists"
        case .jobNotFinished(let text), .refused(let text), .invalidArgument(let text), .leaseLost(let text),
            .unavailable(let text), .timedOut(let text), .tooLarge(let text), .undecodable(let text): text
        case .other(let status): "\(status)"
        }
    }

    /// - Parameter job: what the request was about.
    init(_ status: Status, job: String = "") {
        switch status.code {
        case .notFound where status.message.contains("lease not found"): self = .leaseLost(status.message)
        case .notFound where status.message.contains("job not found"): self = .jobNotFound(job)
        case .alreadyExists: self = .jobAlreadyExists(job)
        case .failedPrecondition where status.message.contains("not complete"): self = .jobNotFinished(status.message)
        case .failedPrecondition where status.message.contains("lease owner mismatch"): self = .leaseLost(status.message)
        case .failedPrecondition: self = .refused(status.message)
        case .invalidArgument: self = .invalidArgument(status.message)
        case .unavailable: self = .unavailable(status.message)
        case .deadlineExceeded: self = .timedOut(status.message)
        case .outOfRange: self = .tooLarge(status.message)
        case .resourceExhausted where status.isTooLarge: self = .tooLarge(status.message)
        default: self = .other(status)
        }
    }
}

extension Status {
    /// The shard is not where the request went: ask where it is now.
    var isWrongShard: Bool { code == .notFound && message.contains("shard not found") }

    /// A message breaks the limit of one of the two sides, as the C core and other gRPC libraries say it. It stays so.
    var isTooLarge: Bool {
        code == .resourceExhausted && ["larger than max", "exceeds maximum"].contains { message.contains($0) }
    }

    /// The server has too much in hand.
    var isOverload: Bool { code == .resourceExhausted && !isTooLarge }

    /// The request may not have arrived; sending it again is right where that does no harm.
    var isConnectivity: Bool {
        code == .unavailable || code == .deadlineExceeded || isOverload
            || (code == .internalError && message.contains("RST_STREAM"))
    }

    var isWorthAnotherTry: Bool { isWrongShard || isConnectivity }
}
