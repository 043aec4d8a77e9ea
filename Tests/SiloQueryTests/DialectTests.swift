import SiloCore
import Testing

@testable import SiloQuery

/// Where the language is not SQLite's (spec/query.md 13).
@Suite(.timeLimit(.minutes(10))) struct DialectTests {
    private func check(_ cases: [(String, [String])], _ location: SourceLocation = #_sourceLocation) async throws {
        let fixture = try await Fixture()
        for (sql, expected) in cases {
            do {
                #expect(try await fixture.rows(sql) == expected, "\(sql)", sourceLocation: location)
            } catch {
                Issue.record("\(sql): \(error)", sourceLocation: location)
            }
        }
    }

    @Test func nullsAreTheLargestValues() async throws {
        let rows = "(VALUES (1), (NULL), (2)) AS v"
        try await check([
            ("SELECT column1 FROM \(rows) ORDER BY column1", ["1", "2", "nil"]),
            ("SELECT column1 FROM \(rows) ORDER BY column1 DESC", ["nil", "2", "1"]),
            ("SELECT column1 FROM \(rows) ORDER BY 1 NULLS FIRST", ["nil", "1", "2"]),
            ("SELECT column1, RANK() OVER (ORDER BY column1) AS r FROM \(rows) ORDER BY r", ["1|1", "2|2", "nil|3"]),
        ])
    }

    @Test func truthValuesStayTruthValues() async throws {
        try await check([
            (
                "SELECT TRUE AS a, NOT TRUE AS b, 1 = 1 AS c, 'a' LIKE 'A' AS d, 1 IN (2) AS e, NULL IS NULL AS f",
                ["true|false|true|false|false|true"]
            ),
            (
                "SELECT CASE WHEN 1=1 THEN TRUE END AS a, CAST('true' AS BOOLEAN) AS b, CAST(TRUE AS TEXT) AS c",
                ["true|true|true"]
            ),
            ("SELECT MAX(column1) FROM (VALUES (TRUE), (FALSE)) AS v", ["true"]),
            ("SELECT EXISTS (SELECT 1) AS a, COALESCE(NULL, FALSE) AS b", ["true|false"]),
        ])
    }

    @Test func patterns() async throws {
        try await check([
            (
                "SELECT 'abc' LIKE 'a%' AS a, 'abc' LIKE 'A%' AS b, 'abc' ILIKE 'A_C' AS c, 'abc' NOT LIKE '%d%' AS d",
                ["true|false|true|true"]
            ),
            (
                "SELECT 'a%c' LIKE 'a!%c' ESCAPE '!' AS a, 'abc' LIKE 'a!%c' ESCAPE '!' AS b, 'é' LIKE '_' AS c",
                ["true|false|true"]
            ),
            (
                "SELECT '' LIKE '%' AS a, '' LIKE '' AS b, 'a' LIKE '' AS c, 'aXbXc' LIKE '%X%c' AS d, 'ab' LIKE '%b%a%' AS e",
                ["true|true|false|true|false"]
            ),
            (
                "SELECT NULL LIKE 'a' AS a, starts_with('abc', 'ab') AS b, ends_with('abc', 'bc') AS c, "
                    + "contains('abc', 'x') AS d",
                ["nil|true|true|false"]
            ),
        ])
    }

    @Test func castsThatCannotBeDoneFail() async throws {
        try await check([
            (
                "SELECT CAST('12' AS BIGINT) AS a, CAST(2.9 AS INT) AS b, CAST(-2.9 AS INT) AS c, CAST(7 AS TEXT) AS d",
                ["12|2|-2|7"]
            ),
            ("SELECT CAST(NULL AS INT) AS a, CAST('1.5' AS DOUBLE) AS b", ["nil|1.5"]),
        ])
        let fixture = try await Fixture()
        for sql in [
            "SELECT CAST('abc' AS INT)", "SELECT CAST('' AS DOUBLE)", "SELECT CAST(300 AS TINYINT UNSIGNED)",
            "SELECT CAST(1e30 AS BIGINT)",
        ] {
            guard case .execution? = try await fixture.refusal(sql) else {
                Issue.record("\(sql) is no error")
                continue
            }
        }
    }

    @Test func namesFoldAndQuotesAreNames() async throws {
        try await check([
            ("SELECT ID, JOBS.Tenant FROM Public.JOBS", []),
            ("SELECT 1 AS \"Select\", 2 AS b ORDER BY \"Select\"", ["1|2"]),
            ("SELECT 'it''s' AS t -- and so on\n /* or * this */", ["it's"]),
        ])
        let fixture = try await Fixture()
        #expect(try await fixture.query("SELECT 1 AS Two").names == ["two"])
        #expect(try await fixture.refusal("SELECT \"JOBS\".id FROM jobs") != nil)
    }

    @Test func columnsOfASelectThatAggregatesAreGroupedBy() async throws {
        try await check([
            (
                "SELECT column1 % 2 AS odd, SUM(column1) AS s FROM (VALUES (1), (2), (3)) AS v GROUP BY column1 % 2 ORDER BY odd",
                ["0|2", "1|4"]
            ),
            ("SELECT column1 % 2 AS odd, COUNT(*) FROM (VALUES (1), (2), (3)) AS v GROUP BY odd HAVING count(*) > 1", ["1|2"]),
            (
                "SELECT column1 % 2 AS odd, COUNT(*) FROM (VALUES (1), (2), (3)) AS v GROUP BY 1 ORDER BY 2 DESC, 1",
                ["1|2", "0|1"]
            ),
            ("SELECT SUM(column1) + COUNT(*) AS x, SUM(COUNT(*)) OVER () AS y FROM (VALUES (1), (2)) AS v", ["5|2"]),
        ])
        let fixture = try await Fixture()
        for sql in [
            "SELECT id, COUNT(*) FROM jobs", "SELECT id FROM jobs GROUP BY tenant", "SELECT COUNT(SUM(priority)) FROM jobs",
            "SELECT COUNT(DISTINCT t - x) AS t FROM jobs", "SELECT MAX(b) AS a, MIN(a) AS b FROM jobs",
            "SELECT t AS t, COUNT(*) FROM jobs",
            "SELECT id FROM jobs WHERE COUNT(*) > 1", "SELECT id FROM jobs HAVING MAX(priority) > 1",
            "SELECT priority FROM jobs GROUP BY tenant ORDER BY id", "SELECT row_number() FROM jobs",
        ] {
            guard case .syntax? = try await fixture.refusal(sql) else {
                Issue.record("\(sql) is no error")
                continue
            }
        }
    }

    @Test func typesOfExpressions() async throws {
        let fixture = try await Fixture()
        let cases: [(String, [ColumnType])] = [
            ("priority, priority + 1, priority * 1.5, priority / 2", [.uint8, .int64, .float64, .int64]),
            ("SUM(priority), AVG(priority), MIN(priority), COUNT(*)", [.uint64, .float64, .uint8, .int64]),
            ("SUM(enqueue_time_ms), MAX(id), SUM(CAST(priority AS DOUBLE))", [.int64, .utf8, .float64]),
            ("id || 'x', LENGTH(id), UPPER(id), id = 'x', NULL", [.utf8, .int64, .utf8, .boolean, .null]),
            ("CAST(priority AS INT), CAST(id AS VARCHAR), CAST(priority AS BIGINT)", [.int32, .utf8, .int64]),
            ("CASE WHEN 1=1 THEN 1 ELSE 2.5 END, COALESCE(payload, 'x'), (SELECT 1)", [.float64, .utf8, .int64]),
            ("metadata, element_at(metadata, 'k'), metadata['k']", [.map, .list, .utf8]),
        ]
        for (columns, types) in cases {
            #expect(try await fixture.query("SELECT \(columns) FROM jobs").columns.map(\.type) == types, "\(columns)")
        }
    }

    @Test func textsOfTheAnswerAreUTF8WhateverTheyAreMadeOf() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("é")
        let made = "SELECT CAST(x'61ff62' AS TEXT) AS a, id || CAST(x'c3' AS TEXT) AS b, id FROM jobs"
        #expect(try await fixture.rows(made) == ["a\u{fffd}b|é\u{fffd}|é"])
    }

    @Test func numbersAreNoTexts() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("5", priority: 5)
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE priority = '5'") == ["5"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE '4.5' < priority") == ["5"])
        for sql in ["SELECT id FROM jobs WHERE priority = 'abc'", "SELECT id FROM jobs WHERE priority < 'abc'"] {
            #expect(try await fixture.refusal(sql) == .syntax("'abc' is no number"))
        }
    }
}
