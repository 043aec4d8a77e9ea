import SiloCore
import SiloStore

@testable import SiloEngine

extension ScenarioWorld {
    /// What memory counts.
    var counts: String {
        let counts = bench.shard.counts
        return "jobs \(counts.total), finished \(counts.completed), leases \(counts.leases), lines \(counts.lines)"
    }

    /// Attempts that ended, in order.
    func attempts(_ id: JobID) async throws -> [String] {
        try await bench.attempts(id.text).map { attempt in
            let code = attempt.errorCode.isEmpty ? "" : " \(attempt.errorCode)"
            let outcome = attempt.outcome.name.rawValue.lowercased()
            return "\(id)/\(attempt.number) \(outcome)\(code) at \(sinceStart(Timestamp(attempt.finishedAtMs)))"
        }
    }

    /// The sentence, then what is in the way; with a star what blocks now.
    func explanation(_ tenant: Tenant, _ id: JobID) async throws -> [String] {
        let findings = try await bench.shard.run(Explain(tenant: tenant, id: id))
        let found = try await findings.explanation(try await bench.shard.snapshot())
        return [found.summary] + found.obstacles.map { obstacle in
            var text = "\(obstacle.blocksNow ? "*" : "-") \(obstacle.kind)"
            if !obstacle.key.isEmpty { text += " \(obstacle.key) \(obstacle.inUse)/\(obstacle.max)" }
            if obstacle.ahead > 0 { text += ", \(obstacle.ahead) ahead" }
            if let until = obstacle.until { text += ", until \(sinceStart(until))" }
            let holders = obstacle.holders.map(\.job.text)
            return text + (holders.isEmpty ? "" : ", held by \(holders.joined(separator: " "))")
        }
    }
}
