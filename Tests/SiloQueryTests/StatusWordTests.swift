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
