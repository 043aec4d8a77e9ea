import SiloAPI
import SiloCore

/// A job, and where it lies.
struct LocatedJob: Sendable {
    let shard: String
    /// Nil without tenancy.
    let tenant: String?
    let job: SiloV1.GetJobResponse
}

extension Visit {
    /// The shards that may have a tenant's jobs; nil: the server has no tenancy, and any may.
    func shards(of tenant: String?) async throws -> [String] {
        let owners = try await call(SiloV1.Silo.getClusterInfo, .init()).shardOwners
        guard let tenant else { return owners.map(\.shardId) }
        let digits = String(Tenant(tenant).hash.value, radix: 16)
        let hash = String(repeating: "0", count: 16 - digits.count) + digits
        return owners.filter { $0.rangeStart <= hash && ($0.rangeEnd.isEmpty || hash < $0.rangeEnd) }.map(\.shardId)
    }

    /// Finds a job, with its last attempts as far as they are wanted and have room.
    /// - Parameters:
    ///   - attemptsLast: so many of them.
    ///   - attemptsBefore: only earlier ones than this; 0: the very last.
    ///   - bytesMax: of the answer; nil: all of it.
    func job(
        _ id: String, tenant: String?, attemptsLast: UInt32 = 0, attemptsBefore: UInt32 = 0, bytesMax: UInt64? = nil
    ) async throws -> LocatedJob {
        var request = SiloV1.GetJobRequest()
        request.id = id
        request.tenant = tenant
        request.includeAttempts = attemptsLast > 0
        request.attemptsLast = attemptsLast
        request.attemptsBefore = attemptsBefore
        request.answerBytesMax = bytesMax
        var unanswered: CallFailure?
        for shard in try await shards(of: tenant) {
            request.shard = shard
            do throws(CallFailure) {
                return LocatedJob(shard: shard, tenant: tenant, job: try await call(SiloV1.Silo.getJob, request))
            } catch {
                switch error.kind {
                case .notFound: continue
                // It may be on another.
                case .unavailable: unanswered = error
                default: throw error
                }
            }
        }
        if let unanswered { throw unanswered }
        throw PageFailure(
            404, "There is no such job",
            "No job has this id. It may have been deleted, or kept for as long as the server's settings say.",
            way: ("Go to the jobs", Link("/jobs")))
    }
}
