/// What can go wrong with a request, in the field's words. One file of the server turns each into a gRPC status.
public enum SiloError: Error, Equatable, Sendable {
    /// The request breaks a bound; the text names the field and the bound. Do not repeat it.
    case invalidArgument(String)
    case jobNotFound
    case leaseNotFound
    case leaseOwnerMismatch
    case jobAlreadyExists(JobID)
    case jobAlreadyCancelled
    case jobAlreadyTerminal
    case jobInProgress(JobID)
    case jobNotComplete(JobStatusName)
    case jobRefused(RefusedOperation, JobID, reason: String, JobStatusName)
    /// A bounded queue or buffer is full. Back off and repeat.
    case exhausted(String)
    /// The store did not take the write, or the shard is reopening. Back off and repeat.
    case unavailable(String)
    /// A stored record cannot be read, or an invariant is broken.
    case corrupt(String)

    public enum RefusedOperation: String, Sendable {
        case restart, expedite, lease, reimport
    }
}

/// The words for a job's status that clients read in messages.
public enum JobStatusName: String, Sendable {
    case scheduled = "Scheduled"
    case running = "Running"
    case succeeded = "Succeeded"
    case failed = "Failed"
    case cancelled = "Cancelled"
}

extension Result where Failure == SiloError {
    /// Why the command was refused; nil when it was not.
    public var refusal: SiloError? { if case .failure(let error) = self { error } else { nil } }
}
