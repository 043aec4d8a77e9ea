import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// The tables that upstream does not have.
@Suite(.timeLimit(.minutes(10))) struct OtherTableTests {
    @Test func attemptsOfAJobAreRows() async throws {
        let fixture = try await Fixture()
        try await fixture.finish("flaky", Fixture.failure, retries: 2)
        try await fixture.finish("done", Fixture.success)
        try await fixture.pass(60_000)
        try await fixture.lease(group: "flaky")
        #expect(
            try await fixture.rows("SELECT job_id, attempt, outcome, error_code, error_data, result FROM attempts ORDER BY 1, 2")
                == [
                    "done|1|Succeeded|nil|nil|1", "flaky|1|Failed|BROKEN|2|nil", "flaky|2|Running|nil|nil|nil",
                ])
        let one = try await fixture.query("SELECT attempt FROM attempts WHERE tenant='-' AND job_id='flaky' ORDER BY attempt")
        #expect(one.texts == ["1", "2"])
        // Its earlier attempt, its status and its lease.
        #expect(one.scanned == 3)
        #expect(try await fixture.rows("SELECT job_id FROM attempts WHERE job_id='done'") == ["done"])
        #expect(
            try await fixture.rows("SELECT error_code, COUNT(*) n FROM attempts WHERE outcome='Failed' GROUP BY error_code") == [
                "BROKEN|1"
            ])
    }

    @Test func aPatternOfATimeIsAPartOfTheCondition() async throws {
        let fixture = try await Fixture()
        for (id, wait) in [("soon", 60_000), ("late", 120_000)] as [(String, Int64)] {
            try await fixture.enqueue(id, after: wait)
        }
        let soon = fixture.clock.now.milliseconds + 60_000
        for condition in ["start_time_ms LIKE '\(soon)'", "start_time_ms = '\(soon)'", "start_time_ms = \(soon)"] {
            for group in ["", " AND task_group = 'g'"] {
                let sql = "SELECT job_id FROM tasks WHERE \(condition)\(group)"
                #expect(try await fixture.rows(sql) == ["soon"], "\(sql)")
            }
        }
    }

    @Test func leasesNameTheirWorkers() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a")
        let task = try #require(try await fixture.lease())
        let now = fixture.clock.now.milliseconds
        #expect(
            try await fixture.rows("SELECT job_id, task_id, worker_id, task_group, attempt, started_at_ms FROM leases") == [
                "a|\(task.id)|w|g|1|\(now)"
            ])
        #expect(try await fixture.rows("SELECT expires_at_ms - started_at_ms AS length FROM leases") == ["10000"])
        #expect(try await fixture.rows("SELECT job_id FROM leases", tenant: Tenant("other")) == [])
    }

    @Test func limitsSayWhatIsHeldAndWhoWaits() async throws {
        let fixture = try await Fixture()
        var slots = StorageV1.ConcurrencyLimit()
        slots.key = "gate"
        slots.maxConcurrency = 1
        var gate = StorageV1.Limit()
        gate.kind = .concurrency(slots)
        var bucket = StorageV1.RateLimit()
        bucket.name = "api"
        bucket.uniqueKey = "all"
        bucket.limit = 1
        bucket.durationMs = 60_000
        bucket.hits = 1
        var rate = StorageV1.Limit()
        rate.kind = .rate(bucket)
        for id in ["a", "b", "c"] { try await fixture.enqueue(id, limits: [gate]) }
        for id in ["x", "y"] { try await fixture.enqueue(id, limits: [rate]) }
        #expect(
            try await fixture.rows("SELECT name, limit_key, limit_type, maximum, held, waiting, is_paused FROM limits ORDER BY 2")
                == [
                    "api|all|rate|1|1|1|false", "|gate|concurrency|1|1|2|false",
                ])
        _ = try await fixture.shard.run(Pause(.limit(LimitKey("gate"), of: Fixture.tenant), reason: ""))
        #expect(try await fixture.rows("SELECT is_paused FROM limits WHERE limit_key='gate'") == ["true"])
        #expect(
            try await fixture.rows("SELECT job_id, variant_type FROM tasks ORDER BY 1") == [
                "a|RunAttempt", "x|RunAttempt", "y|CheckRateLimit",
            ])
    }

    private static func gate(_ maximum: UInt32, _ key: String = "gate") -> StorageV1.Limit {
        var slots = StorageV1.ConcurrencyLimit()
        slots.key = key
        slots.maxConcurrency = maximum
        var limit = StorageV1.Limit()
        limit.kind = .concurrency(slots)
        return limit
    }

    @Test func aPausedLimitIsThereWhenItHasDrained() async throws {
        let fixture = try await Fixture()
        for id in ["a", "b"] { try await fixture.enqueue(id, limits: [Self.gate(1)]) }
        let task = try #require(try await fixture.lease())
        _ = try await fixture.shard.run(Pause(.limit(LimitKey("gate"), of: Fixture.tenant), reason: ""))
        _ = try await fixture.shard.run(Pause(.limit(LimitKey("unused"), of: Fixture.tenant), reason: ""))
        try await fixture.shard.run(ReportOutcome(tenant: Fixture.tenant, task: task.id, outcome: Fixture.success))
        let limits = "SELECT limit_key, limit_type, maximum, held, waiting, is_paused FROM limits"
        let gate = "gate|concurrency|1|0|1|true"
        #expect(try await fixture.rows("\(limits) ORDER BY 1") == [gate, "unused|concurrency|nil|0|0|true"])
        for condition in ["", " AND tenant='-'"] {
            #expect(try await fixture.rows("\(limits) WHERE limit_key='gate'\(condition)") == [gate])
            let queues = "SELECT entry_type, job_id FROM queues WHERE queue_name='gate'\(condition)"
            #expect(try await fixture.rows(queues) == ["requester|b"])
            let counts = "SELECT holders, requesters, max_concurrency FROM queue_counts WHERE queue_name='gate'\(condition)"
            #expect(try await fixture.rows(counts) == ["0|1|1"])
        }
    }

    @Test func whatHoldsALimitSaysItsSize() async throws {
        let fixture = try await Fixture()
        var bucket = StorageV1.RateLimit()
        (bucket.name, bucket.uniqueKey) = ("api", "all")
        (bucket.limit, bucket.durationMs, bucket.hits) = (1, 60_000, 1)
        var rate = StorageV1.Limit()
        rate.kind = .rate(bucket)
        try await fixture.enqueue("a", limits: [Self.gate(3)])
        try await fixture.enqueue("x", group: "h", limits: [rate])
        let sizes = "SELECT limit_key, maximum, held, waiting FROM limits ORDER BY 1"
        #expect(try await fixture.rows(sizes) == ["all|1|1|0", "gate|3|1|0"], "they are ready")
        try await fixture.lease()
        try await fixture.lease(group: "h")
        #expect(try await fixture.rows(sizes) == ["all|1|1|0", "gate|3|1|0"], "they run")
        let room = try await fixture.rows("SELECT next_room_ms > now_ms() AS later FROM limits WHERE limit_type='rate'")
        #expect(room == ["true"])
    }

    @Test func aJobThatWaitsForSeveralLimitsStandsAtTheFullOne() async throws {
        let fixture = try await Fixture()
        let both = [Self.gate(5, "wide"), Self.gate(1, "narrow")]
        for id in ["a", "b"] { try await fixture.enqueue(id, limits: both) }
        for condition in ["", " WHERE tenant='-'", " WHERE tenant='-' AND queue_name IN ('wide', 'narrow')"] {
            let sql = "SELECT queue_name, entry_type, job_id FROM queues\(condition) ORDER BY 1, 2"
            let rows = ["narrow|holder|nil", "narrow|requester|b", "wide|holder|nil"]
            let found = try await fixture.rows(sql)
            #expect(found == rows, "\(condition)")
        }
        let wide = "SELECT entry_type FROM queues WHERE tenant='-' AND queue_name='wide'"
        #expect(try await fixture.rows(wide) == ["holder"])
    }

    @Test func tenantsAreCountedBetweenNames() async throws {
        let fixture = try await Fixture.tenants()
        try await fixture.enqueue("g", tenant: Tenant("Gamma"))
        for (condition, tenants) in [
            ("tenant > 'acme'", ["beta"]), ("tenant >= 'acme' AND tenant < 'beta'", ["acme"]), ("tenant <= 'a'", ["Gamma"]),
        ] {
            let sql = "SELECT DISTINCT tenant FROM tenant_counts WHERE \(condition)"
            #expect(try await fixture.rows(sql) == tenants, "\(condition)")
        }
    }

    @Test func shardsSayWhatTheyHold() async throws {
        let fixture = try await Fixture()
        try await fixture.finish("done", Fixture.success)
        try await fixture.enqueue("a", tenant: Tenant("acme"))
        try await fixture.enqueue("b")
        try await fixture.lease()
        let counts = "SELECT shard_id, tenants, jobs, finished_jobs, leases FROM shards"
        #expect(try await fixture.rows(counts) == ["\(fixture.id)|2|3|1|1"])
        #expect(try await fixture.rows(counts, tenant: Tenant("acme")).first?.contains("|1|1|0|") == true)
    }
}
