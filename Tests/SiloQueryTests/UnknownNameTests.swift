import Testing

@testable import SiloQuery

/// What a statement is told that names what there is not.
@Suite(.timeLimit(.minutes(10))) struct UnknownNameTests {
    @Test func theNearestKnownNameIsTold() async throws {
        let fixture = try await Fixture()
        for (sql, told) in [
            ("SELECT stauts FROM jobs", "there is no column stauts; did you mean status_kind?"),
            ("SELECT j.stauts_kind FROM jobs j", "there is no column j.stauts_kind; did you mean j.status_kind?"),
            ("SELECT (SELECT 1 FROM leases WHERE pirority = 1) FROM jobs", "there is no column pirority; did you mean priority?"),
            ("SELECT COUNT(*) AS total FROM jobs GROUP BY tenant ORDER BY toatl",
             "there is no column toatl; did you mean total?"),
            ("SELECT nope FROM jobs", "there is no column nope"),
            ("SELECT id FROM jbos", "there is no table jbos; did you mean jobs?"),
            ("SELECT jbos.* FROM jobs", "there is no table jbos; did you mean jobs?"),
            ("WITH mine AS (SELECT 1) SELECT * FROM mien", "there is no table mien; did you mean mine?"),
            ("SELECT cuont(id) FROM jobs", "there is no function cuont; did you mean count?"),
        ] {
            #expect(try await fixture.refusal(sql) == .syntax(told), "\(sql)")
        }
        // A table that only rewritten selects have is nobody's.
        guard case .syntax(let text)? = try await fixture.refusal("SELECT * FROM silo_job_count") else {
            Issue.record("it is no error")
            return
        }
        #expect(!text.contains("silo_job_counts"))
    }

    @Test func aTextInDoubleQuotesIsToldToStandInSingleOnes() async throws {
        let fixture = try await Fixture()
        let long = String(repeating: "x", count: 90)
        for (name, hint) in [
            ("Failed", "did you mean the text 'Failed'? Texts stand in single quotes"),
            ("it's", "did you mean the text 'it''s'? Texts stand in single quotes"),
            ("ID", "did you mean id, or the text 'ID'? Texts stand in single quotes"),
            (long, "did you mean the text '\(long.prefix(40))'? Texts stand in single quotes"),
        ] {
            let sql = "SELECT id FROM jobs WHERE task_group = \"\(name)\""
            #expect(try await fixture.refusal(sql) == .syntax("there is no column \(name); \(hint)"), "\(sql)")
        }
        #expect(try await fixture.refusal("SELECT \"id\" FROM jobs") == nil)
    }
}
