import GRPC
import SiloCore
import Testing

@testable import SiloServer

/// Clients match on codes and messages: each stays as it is.
@Suite(.timeLimit(.minutes(10))) struct StatusTests {
    static let shard = ShardID(UUID(high: 0x0b5b_1f3a_6f3e_4d0e, low: 0x9f5e_0123_4567_89ab))

    static let table: [(SiloError, Status.Code, String)] = [
        (.outOfBounds(field: "task_group", bound: "is required"), .invalidArgument, "task_group is required"),
        (.invalidArgument("missing outcome"), .invalidArgument, "missing outcome"),
        (.inBatch(entry: "jobs[2]", .jobAlreadyExists(JobID("a"))), .alreadyExists, "jobs[2]: job already exists with id a"),
        (.tenantRequired, .invalidArgument, "tenant id required"),
        (.invalidTenant, .invalidArgument, "invalid tenant id"),
        (.tenantNotTaken, .failedPrecondition, "tenant must not be provided when tenancy is disabled on the server"),
        (.unauthenticated("invalid auth token"), .unauthenticated, "invalid auth token"),
        (.developmentOnly(operation: "ResetShards"), .permissionDenied, "ResetShards is only available in dev mode"),
        (.unsupported("no"), .unimplemented, "no"),
        (.jobNotFound, .notFound, "job not found"),
        (.leaseNotFound, .notFound, "lease not found"),
        (.leaseOwnerMismatch, .failedPrecondition, "lease owner mismatch"),
        (.jobAlreadyExists(JobID("a")), .alreadyExists, "job already exists with id a"),
        (.jobAlreadyCancelled, .failedPrecondition, "job is already cancelled"),
        (.jobAlreadyTerminal, .failedPrecondition, "job is already in terminal state"),
        (
            .jobInProgress(JobID("a")), .failedPrecondition,
            "cannot delete job a: job is currently running or has pending requests"
        ),
        (.jobNotComplete(.running), .failedPrecondition, "job is not complete: status is Running"),
        (
            .jobRefused(.restart, JobID("a"), reason: "no", .succeeded), .failedPrecondition,
            "cannot restart job a: no (status: Succeeded)"
        ),
        (.notOwner(hint: nil), .notFound, "shard not found"),
        (.shardNotReady("acquisition in progress"), .unavailable, "shard not ready: acquisition in progress"),
        (.shardNotOpen("x"), .notFound, "shard x not found on this node"),
        (
            .tenantElsewhere(Tenant("t"), shard, .all), .failedPrecondition,
            "tenant 't' is not within shard \(shard) range [-∞, +∞); refresh topology and retry"
        ),
        (.exhausted("full"), .resourceExhausted, "full"),
        (.unavailable("away", cause: .init(SiloError.jobNotFound)), .unavailable, "away"),
        (.corrupt("torn"), .internalError, "torn"),
        (.failed("flush failed: why"), .internalError, "flush failed: why"),
    ]

    @Test(arguments: table) func says(_ error: SiloError, _ code: Status.Code, _ message: String) {
        #expect(Status(error) == Status(code, message))
    }

    @Test func whoAsksTheWrongNodeIsToldWhereTheShardIs() {
        let status = Status(.notOwner(hint: ShardOwner(node: "n2", address: "10.0.0.2:7450")))
        #expect(status.message == "shard not found")
        #expect(status.trailers["x-silo-shard-owner-addr"] == "10.0.0.2:7450")
        #expect(status.trailers["x-silo-shard-owner-node"] == "n2")
    }

    @Test func causesAreKeptAndNotTold() {
        let error = SiloError.inBatch(entry: "jobs[0]", .unavailable("away", cause: .init(SiloError.jobAlreadyTerminal)))
        #expect(error.cause as? SiloError == .jobAlreadyTerminal)
        #expect(SiloError.jobNotFound.cause == nil)
    }
}
