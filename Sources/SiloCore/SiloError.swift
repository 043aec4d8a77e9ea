/// What can go wrong with a request, in the field's words. Whoever brings the answer to the caller turns it into the words of the
/// wire: for gRPC, one file of the server.
public enum SiloError: Error, Equatable, Sendable {
    // MARK: The request cannot be served as it is. Do not repeat it.

    /// `field` is named as the schema names it; `bound` ends the sentence that it begins: `is required`.
    case outOfBounds(field: String, bound: String)
    /// The request makes no sense in another way.
    case invalidArgument(String)
    /// One entry, such as `jobs[3]`, refused the whole batch, which is all or nothing.
    indirect case inBatch(entry: String, SiloError)
    case tenantRequired
    case invalidTenant
    /// The server runs without tenancy.
    case tenantNotTaken
    case unauthenticated(String)
    /// The caller is known, and may not do this.
    case denied(String)
    /// The operation is only there on a server in development.
    case developmentOnly(operation: String)
    /// This server cannot do it at all.
    case unsupported(String)

    // MARK: Jobs and leases

    case jobNotFound
    case leaseNotFound
    case leaseOwnerMismatch
    case jobAlreadyExists(JobID)
    case jobAlreadyCancelled
    case jobAlreadyTerminal
    case jobInProgress(JobID)
    case jobNotComplete(JobStatusName)
    case jobRefused(RefusedOperation, JobID, reason: String, JobStatusName)
    /// The job is larger than one answer may be: read it in parts.
    case jobTooLarge(answerBytesMax: Int)

    case bulkActionNotFound

    // MARK: Shards

    /// This node does not have the shard. Ask `hint`, or look up the shards anew.
    case notOwner(hint: ShardOwner?)
    /// The shard is this node's and does not serve now. Back off and repeat.
    case shardNotReady(String)
    /// An operator named a shard that is not open here.
    case shardNotOpen(String)
    /// Another shard has this tenant. Look up the shards anew.
    case tenantElsewhere(Tenant, ShardID, ShardRange)

    // MARK: The server

    /// Everything of the tenant is being deleted. It can be used anew when that has ended.
    case tenantBeingDropped(Tenant)
    /// A bounded queue or buffer is full. Back off and repeat.
    case exhausted(String)
    /// The caller asks for more than it may in a second. Repeat then.
    case tooMuch(String, retryAfterMilliseconds: Int64)
    /// It took longer than it may.
    case timedOut(String)
    /// The store did not take the write, or the shard is reopening. Back off and repeat.
    case unavailable(String, cause: Cause? = nil)
    /// A stored record cannot be read, or an invariant is broken.
    case corrupt(String, cause: Cause? = nil)
    /// Something went wrong that should not.
    case failed(String, cause: Cause? = nil)

    public enum RefusedOperation: String, Sendable {
        case restart, expedite, lease, reimport
    }

    /// What lay beneath, for those who look for it; callers are not told.
    public var cause: (any Error)? {
        switch self {
        case .unavailable(_, let cause), .corrupt(_, let cause), .failed(_, let cause): cause?.error
        case .inBatch(_, let error): error.cause
        default: nil
        }
    }

    /// An error of whatever kind. Two are equal when they say the same.
    public struct Cause: Equatable, Sendable, CustomStringConvertible {
        public let error: any Error

        public init(_ error: any Error) { self.error = error }

        public var description: String { "\(error)" }
        public static func == (left: Cause, right: Cause) -> Bool { left.description == right.description }
    }
}

/// The node that has a shard.
public struct ShardOwner: Hashable, Sendable {
    public let node: String
    /// Where clients call it: `host:port`.
    public let address: String

    public init(node: String, address: String) {
        self.node = node
        self.address = address
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
