import GRPC
import SiloCore
import SiloService

// Every error of Silo as a gRPC status. Clients match on some of the messages: they stay as they are (spec/api.md 3).

extension Status {
    init(_ error: SiloError) {
        switch error {
        case .outOfBounds(let field, let bound): self.init(.invalidArgument, "\(field) \(bound)")
        case .invalidArgument(let text): self.init(.invalidArgument, text)
        case .inBatch(let entry, let error):
            self.init(error)
            message = "\(entry): \(message)"
        case .tenantRequired: self.init(.invalidArgument, "tenant id required")
        case .invalidTenant: self.init(.invalidArgument, "invalid tenant id")
        case .tenantNotTaken:
            self.init(.failedPrecondition, "tenant must not be provided when tenancy is disabled on the server")
        case .unauthenticated(let text): self.init(.unauthenticated, text)
        case .denied(let text): self.init(.permissionDenied, text)
        case .developmentOnly(let operation): self.init(.permissionDenied, "\(operation) is only available in dev mode")
        case .unsupported(let text): self.init(.unimplemented, text)

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
        case .jobTooLarge(let bytesMax):
            self.init(
                .outOfRange,
                "the job does not fit into an answer of \(bytesMax) bytes; read it in parts: set answer_bytes_max, "
                    + "then ask again with omit_payload, omit_result and attempts_from = next_attempt"
            )

        case .bulkActionNotFound: self.init(.notFound, "bulk action not found")

        case .notOwner(let owner): self.init(.notFound, "shard not found", trailers: owner.map(Metadata.init) ?? Metadata())
        case .shardNotReady(let why): self.init(.unavailable, "shard not ready: \(why)")
        case .shardNotOpen(let shard): self.init(.notFound, "shard \(shard) not found on this node")
        case .tenantElsewhere(let tenant, let shard, let range):
            self.init(
                .failedPrecondition, "tenant '\(tenant)' is not within shard \(shard) range \(range); refresh topology and retry"
            )

        case .tenantBeingDropped(let tenant):
            self.init(
                .failedPrecondition, "tenant '\(tenant)' is being dropped; it can be used anew when that has ended")
        case .exhausted(let text): self.init(.resourceExhausted, text)
        case .tooMuch(let text, let milliseconds):
            let seconds = (Double(milliseconds) / 100).rounded(.up) / 10
            self.init(
                .resourceExhausted, "\(text); try again in \(seconds) s", trailers: Metadata(retryAfter: milliseconds))
        case .timedOut(let text): self.init(.deadlineExceeded, text)
        case .unavailable(let text, _): self.init(.unavailable, text)
        case .corrupt(let text, _), .failed(let text, _): self.init(.internalError, text)
        }
    }

    /// A message may quote what the caller sent; clients refuse answers with long headers.
    var shortened: Status {
        guard message.utf8.count > Bounds.statusBytesMax else { return self }
        let scalars = message.unicodeScalars
        return Status(code, "\(String(scalars.prefix(256)))…\(String(scalars.suffix(256)))", trailers: trailers)
    }
}

extension Metadata {
    /// When to try again: in milliseconds, as clients of gRPC that repeat calls read it, and in seconds, as HTTP has it.
    fileprivate init(retryAfter milliseconds: Int64) {
        self = ["grpc-retry-pushback-ms": "\(milliseconds)", "retry-after": "\((milliseconds + 999) / 1000)"]
    }

    /// Where clients find a shard that is not here (spec/api.md 1.4).
    fileprivate init(_ owner: ShardOwner) {
        self = ["x-silo-shard-owner-addr": owner.address, "x-silo-shard-owner-node": owner.node]
    }
}
