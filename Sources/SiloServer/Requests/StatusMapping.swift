import GRPC
import SiloCore

// Every error of Silo as a gRPC status. Clients match on some of the messages: they stay as they are (spec/api.md 3).

extension Status {
    init(_ error: SiloError) {
        switch error {
        case .invalidArgument(let text): self.init(.invalidArgument, text)
        case .jobNotFound: self.init(.notFound, "job not found")
        case .leaseNotFound: self.init(.notFound, "lease not found")
        case .leaseOwnerMismatch: self.init(.failedPrecondition, "lease owner mismatch")
        case .jobAlreadyExists(let id): self.init(.alreadyExists, "job already exists with id \(id)")
        case .jobAlreadyCancelled: self.init(.failedPrecondition, "job is already cancelled")
        case .jobAlreadyTerminal: self.init(.failedPrecondition, "job is already in terminal state")
        case .jobInProgress(let id):
            self.init(.failedPrecondition, "cannot delete job \(id): job is currently running or has pending requests")
        case .jobNotComplete(let status): self.init(.failedPrecondition, "job is not complete: status is \(status.rawValue)")
        case .jobRefused(let operation, let id, let reason, let status):
            self.init(.failedPrecondition, "cannot \(operation.rawValue) job \(id): \(reason) (status: \(status.rawValue))")
        case .exhausted(let text): self.init(.resourceExhausted, text)
        case .unavailable(let text): self.init(.unavailable, text)
        case .corrupt(let text): self.init(.internalError, text)
        }
    }

    /// A message may quote what the caller sent; clients refuse answers with long headers.
    var shortened: Status {
        guard message.utf8.count > Bounds.statusBytesMax else { return self }
        let scalars = message.unicodeScalars
        return Status(code, "\(String(scalars.prefix(256)))…\(String(scalars.suffix(256)))", trailers: trailers)
    }

    /// The status of whatever a handler threw.
    init(wrapping error: any Error) {
        switch error {
        case let status as Status: self = status
        case let error as SiloError: self.init(error)
        default: self.init(.internalError, "\(error)")
        }
    }
}
