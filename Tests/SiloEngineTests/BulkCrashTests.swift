import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// Bulk actions while the store fails and the process dies, again and again, at every step on some seed.
@Suite(.timeLimit(.minutes(10))) struct BulkCrashTests {
    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    private static let jobs = 40

    /// Cancels every job of a shard whose workers go on and to which others bring jobs.
    private static func run(_ seed: UInt64, planted: (@Sendable (Write) -> Write?)? = nil) async throws {
        let random = SeededRandom(seed: seed)
        let finder = WordFinder(rowsMax: 1 + random.below(9))
        var bench = try await Bench.open(finding: finder)
        for index in 0..<jobs {
            try await bench.enqueue("\(index)", retries: 1, group: random.chance(50) ? "g" : "h", limits: [slots("x", 5)])
        }
        for task in try await bench.lease(random.below(9)) { if random.chance(50) { try await bench.succeed(task) } }
        bench.store.set { $0.mangle = planted }
        try await bench.begin(.cancel)
        var newcomers = 0
        for _ in 0..<200 where bench.shard.bulkCount > 0 {
            let calls = random.below(60)
            bench.store.set { $0.callsLeft = calls }
            while bench.shard.bulkCount > 0, (try? await bench.pass(17)) != nil {
                if random.chance(30), let task = try? await bench.lease(1, group: "h").first { try? await bench.fail(task) }
                newcomers += 1
                _ = try? await bench.enqueue("new \(newcomers)")
            }
            // What was not durable is gone.
            bench.store.set { $0.callsLeft = nil }
            if bench.shard.bulkCount == 0, (try? await bench.bulks()) != nil { break }
            try? await bench.shard.close()
            bench = try await bench.crash()
            bench.store.set { $0.mangle = planted }
        }
        try await check(bench)
        try await bench.finish()
    }

    private static func check(_ bench: Bench) async throws {
        guard let action = try await bench.bulk() else { throw Wrong(description: "the action is forgotten") }
        guard action.end == .done else { throw Wrong(description: "it has not ended: \(action)") }
        // It looked at newcomers too, and let them be.
        guard action.done + action.refused == jobs, action.lookedAt >= jobs else {
            throw Wrong(
                description: "of \(jobs) jobs \(action.done) are done, \(action.refused) refused, \(action.lookedAt) looked at")
        }
        var cancelled = 0
        for index in 0..<jobs where try await bench.job("\(index)")?.cancelledAt != nil { cancelled += 1 }
        guard UInt64(cancelled) == action.done else {
            throw Wrong(description: "\(cancelled) jobs are cancelled, and it says \(action.done)")
        }
        for row in bench.memory.rows where row.key.count > 2 && row.key[2] == 0x40 {
            guard let (tenant, id) = ShardKeys.parseLease(row.key), id.text.hasPrefix("new") else { continue }
            let job = try await bench.job(id.text, tenant: tenant)
            if job?.cancelledAt != nil { throw Wrong(description: "\(id) came later and was cancelled") }
        }
        guard bench.violations == [] else { throw Wrong(description: "\(bench.violations)") }
    }

    @Test("each job is done once, whatever fails", arguments: 1...40)
    func crashes(seed: Int) async throws { try await Self.run(UInt64(seed)) }

    enum Bug: CaseIterable, Sendable {
        /// Progress is not in the batch of the jobs, so that a crash forgets it.
        case progressIsLost
        /// It says too little is left.
        case spanIsSkipped

        @Sendable func mangle(_ write: Write) -> Write? {
            guard let id = ShardKeys.parseBulk(write.key), let value = write.value,
                var action = try? StorageV1.BulkAction(serializedBytes: value), id == Bench.bulk, action.goesOn
            else { return write }
            switch self {
            case .progressIsLost where action.done % 3 != 0: return nil
            case .spanIsSkipped where action.left[0].from.count > 3:
                action.left[0].from = TenantKeys(Bench.tenant).job(JobID("5"))
                return Write(key: write.key, value: action.serializedBytes())
            default: return write
            }
        }
    }

    @Test("bugs that are planted in what is written are found", arguments: Bug.allCases)
    func isFound(_ bug: Bug) async {
        for seed in UInt64(1)...40 {
            do { try await Self.run(seed, planted: bug.mangle) } catch { return }
        }
        Issue.record("\(bug) was not found by 40 seeds")
    }
}
