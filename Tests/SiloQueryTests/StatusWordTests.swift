import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// A status is the same in whatever words a statement names it, and on whatever way its jobs are found.
@Suite(.timeLimit(.minutes(10))) struct StatusWordTests {
    private static let words: [(word: String, ids: [String])] = [
        ("Waiting", ["wait1", "wait2"]), ("waiting", ["wait1", "wait2"]), ("scheduled", ["later1"]), ("running", ["run1"]),
        ("failed", ["bad1"]), ("succeeded", ["done1"]), ("success", ["done1"]), ("cancelled", []), ("canceled", []),
        ("WAITING", []), ("Bogus", []),
    ]

    @Test func everyWayFindsTheSame() async throws {
        let fixture = try await Fixture.states()
        let all = ["bad1", "done1", "later1", "run1", "wait1", "wait2"]
        for (word, ids) in Self.words {
            let others = all.filter { !ids.contains($0) }
            for condition in [
                "status_kind = '\(word)'", "'\(word)' = status_kind", "status_kind IN ('\(word)')",
                "status_kind IN ('Bogus', '\(word)')",
                "status_kind IS '\(word)'", "status_kind = '\(word)' AND priority >= 0",
                "(status_kind = '\(word)' OR id = 'none')",
                "(status_kind = '\(word)' OR status_kind = 'Bogus')", "NOT status_kind <> '\(word)'",
                "CASE status_kind WHEN '\(word)' THEN TRUE ELSE FALSE END",
            ] {
                for tenant in ["", " AND tenant = '-'"] {
                    let jobs = "FROM jobs WHERE \(condition)\(tenant)"
                    #expect(try await fixture.rows("SELECT id \(jobs) ORDER BY id") == ids, "\(jobs)")
                    #expect(try await fixture.rows("SELECT COUNT(*) \(jobs)") == ["\(ids.count)"], "\(jobs)")
                    let tallied = try await fixture.rows("SELECT COUNT(*), MAX(priority) \(jobs)")
                    #expect(tallied.first?.hasPrefix("\(ids.count)|") == true, "\(jobs)")
                    #expect(try await walked(fixture, condition + tenant) == ids, "\(jobs)")
                }
            }
            for condition in ["status_kind <> '\(word)'", "status_kind NOT IN ('\(word)')", "status_kind IS NOT '\(word)'"] {
                let rows = try await fixture.rows("SELECT id FROM jobs WHERE \(condition) ORDER BY id")
                #expect(rows == others, "\(condition)")
                #expect(try await fixture.rows("SELECT COUNT(*) FROM jobs WHERE \(condition)") == ["\(others.count)"])
                #expect(try await walked(fixture, condition) == others)
            }
            let parameter = "SELECT id FROM jobs WHERE status_kind = $1 ORDER BY id"
            #expect(try await fixture.rows(parameter, [.text(word)]) == ids)
            let inner = "SELECT id FROM (SELECT id, status_kind AS s FROM jobs) AS x WHERE s = '\(word)' ORDER BY id"
            #expect(try await fixture.rows(inner) == ids)
            let groups = "SELECT COUNT(*) FROM jobs GROUP BY status_kind HAVING status_kind = '\(word)'"
            #expect(try await fixture.rows(groups) == (ids.isEmpty ? [] : ["\(ids.count)"]))
        }
    }

    @Test func valuesOfRowsAreAsTheyAre() async throws {
        let fixture = try await Fixture.states()
        let joined = "SELECT id FROM (VALUES ('failed')) AS v JOIN jobs ON status_kind = column1"
        #expect(try await fixture.rows(joined) == [])
        #expect(try await fixture.rows(joined + " AND tenant = '-'") == [])
        #expect(try await fixture.rows("SELECT x FROM (SELECT 'failed' AS x) AS y WHERE x = 'failed'") == ["failed"])
    }

    @Test func aWordThatIsNoStatusIsToldOf() async throws {
        let fixture = try await Fixture.states()
        let known = "there are Waiting, Scheduled, Running, Succeeded, Failed, Cancelled"
        for condition in [
            "status_kind = 'Runing'", "'Runing' <> status_kind", "status_kind NOT IN ('Failed', 'Runing')", "status_kind = $1",
            "CASE status_kind WHEN 'Runing' THEN TRUE ELSE FALSE END", "(status_kind = 'Runing' OR status_kind IN ('Runing'))",
            "id IN (SELECT id FROM (SELECT id, status_kind AS s FROM jobs) AS x WHERE s = 'Runing')",
        ] {
            let sql = "SELECT COUNT(*) FROM jobs WHERE \(condition)"
            let notices = try await fixture.query(sql, [.text("Runing")]).notices
            #expect(notices == ["no job has the status 'Runing'; \(known)"], "\(condition)")
        }
        let two = try await fixture.query("SELECT id FROM jobs WHERE status_kind IN ('WAITING', 'running', 'x')").notices
        #expect(two == ["WAITING", "x"].map { "no job has the status '\($0)'; \(known)" })
        for condition in [
            "status_kind = 'running'", "status_kind LIKE 'Run%'", "status_kind > id", "id = 'Runing'", "error_code = 'Runing'",
            "status_kind || 'x' = 'Runing'",
        ] {
            #expect(try await fixture.query("SELECT id FROM jobs WHERE \(condition)").notices == [], "\(condition)")
        }
    }

    /// The columns of each table that have fixed words, with what is told of another.
    private static let fixedWords: [(table: String, column: String, mistake: String)] = [
        ("attempts", "outcome", "no attempt has the outcome 'Sucess'; there are Running, Succeeded, Failed, Cancelled"),
        (
            "tasks", "variant_type",
            "no task has the variant_type 'Sucess'; there are RunAttempt, CheckRateLimit, RefreshFloatingLimit"
        ),
        ("queues", "entry_type", "no row of queues has the entry_type 'Sucess'; there are holder, requester"),
        ("queue_counts", "limit_type", "no row of queue_counts has the limit_type 'Sucess'; there are fixed, floating"),
        ("limits", "limit_type", "no limit has the limit_type 'Sucess'; there are concurrency, floating, rate"),
        (
            "tenant_counts", "status_kind",
            "no row of tenant_counts has the status_kind 'Sucess'; there are Scheduled, Running, Succeeded, Failed, Cancelled"
        ),
    ]

    @Test(arguments: fixedWords)
    func otherTablesTellOfSuchWordsToo(table: String, column: String, mistake: String) async throws {
        let fixture = try await Fixture.states()
        for condition in [
            "\(column) = 'Sucess'", "'Sucess' <> \(column)", "\(column) NOT IN ('Sucess')", "\(column) = $1",
            "CASE \(column) WHEN 'Sucess' THEN TRUE ELSE FALSE END",
        ] {
            let answer = try await fixture.query("SELECT COUNT(*) FROM \(table) WHERE \(condition)", [.text("Sucess")])
            #expect(answer.notices == [mistake], "\(condition)")
        }
        let words = try #require(mistake.split(separator: "there are ").last).split(separator: ", ")
        for word in words {
            let answer = try await fixture.query("SELECT shard_id FROM \(table) WHERE \(column) IN ('\(word)')")
            #expect(answer.notices == [], "\(word)")
        }
    }

    @Test func whatRowsHoldIsAmongTheFixedWords() async throws {
        for fixture in [try await Fixture.states(), try await Fixture.gated()] {
            for (table, column, mistake) in Self.fixedWords {
                for word in try await fixture.rows("SELECT DISTINCT \(column) FROM \(table) WHERE \(column) IS NOT NULL") {
                    #expect(mistake.contains(word), "\(table)")
                }
            }
        }
    }

    @Test func anOutcomeIsSpelledAsAStatusIs() async throws {
        let fixture = try await Fixture.states()
        for (word, ids) in [("success", ["done1"]), ("failed", ["bad1"]), ("Running", ["run1"]), ("canceled", [])] {
            let answer = try await fixture.query("SELECT job_id FROM attempts WHERE outcome = '\(word)'")
            #expect(answer.texts == ids)
            #expect(answer.notices == [])
        }
        let waiting = try await fixture.query("SELECT job_id FROM attempts WHERE outcome = 'waiting'")
        #expect(waiting.notices == ["no attempt has the outcome 'waiting'; there are Running, Succeeded, Failed, Cancelled"])
    }

    @Test func rowsOfTwoTablesHaveTheWordsOfBoth() async throws {
        let fixture = try await Fixture.states()
        for (first, second) in [("jobs", "tenant_counts"), ("tenant_counts", "jobs")] {
            let both = "(SELECT status_kind AS s FROM \(first) UNION SELECT status_kind FROM \(second)) AS x"
            #expect(try await fixture.rows("SELECT s FROM \(both) WHERE s = 'waiting'") == ["Waiting"])
            #expect(try await fixture.query("SELECT s FROM \(both) WHERE s = 'Sucess'").notices.count == 1)
        }
        let unlike = "(SELECT status_kind AS s FROM jobs UNION SELECT entry_type FROM queues) AS x"
        #expect(try await fixture.query("SELECT s FROM \(unlike) WHERE s = 'holder'").notices == [])
    }

    private func walked(_ fixture: Fixture, _ condition: String) async throws -> [String] {
        let all = Slice.rows(of: Slice.all[0]...Slice.all[Slice.count - 1])
        let shard = QueriedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        let walk = JobWalk(tenants: nil, from: all.start, to: all.end, rowsMax: 1000)
        let found = try await Query(where: condition, walk, of: shard, now: fixture.clock.now)
            .walked(QueryLimits(), StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
        return found.jobs.map(\.id.text).sorted()
    }
}
