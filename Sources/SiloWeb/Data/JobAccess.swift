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

    /// Finds a job, with its attempts as far as they are wanted and have room.
    /// - Parameters:
    ///   - attemptsFrom: earlier ones are left out; nil: all are.
    ///   - bytesMax: of the answer; nil: all of it.
    func job(_ id: String, tenant: String?, attemptsFrom: UInt32? = nil, bytesMax: UInt64? = nil) async throws -> LocatedJob {
        var request = SiloV1.GetJobRequest()
        request.id = id
        request.tenant = tenant
        request.includeAttempts = attemptsFrom != nil
        request.attemptsFrom = attemptsFrom ?? 0
        request.answerBytesMax = bytesMax
        for shard in try await shards(of: tenant) {
            request.shard = shard
            let found: SiloV1.GetJobResponse
            do throws(CallFailure) { found = try await call(SiloV1.Silo.getJob, request) } catch {
                guard error.kind == .notFound else { throw error }
                continue
            }
            return LocatedJob(shard: shard, tenant: tenant, job: found)
        }
        throw PageFailure(
            404, "There is no such job",
            "No job has this id. It may have been deleted, or kept for as long as the server's settings say.",
            way: ("Go to the jobs", Link("/jobs")))
    }
}
