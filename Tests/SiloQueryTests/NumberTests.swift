import SiloCore
import Testing

@testable import SiloQuery

/// What is no number is not taken for 0, and what is no truth value not for false.
@Suite(.timeLimit(.minutes(10))) struct NumberTests {
    @Test(arguments: [
        "SUM(id)", "AVG(id)", "TOTAL(payload)", "ABS(id)", "ROUND(id)", "ROUND(priority, id)", "SQRT('x')", "FLOOR(tenant)",
        "POWER(2, id)", "-id", "+id", "- metadata", "SUM(metadata)", "AVG(element_at(metadata, 'k'))", "SUM(metadata['k'])",
        "SUM(id) OVER ()", "NTILE('x') OVER ()", "LAG(id, 'x') OVER (ORDER BY id)", "SUBSTR(id, 'x')", "SUM(x'01')", "x'01' + 1",
        "SUM(payload -> 'n')", "7.5 % 2", "priority % 1.5", "(payload ->> 'n') % 2", "NOT id", "id AND TRUE", "TRUE OR payload",
        "CASE WHEN id THEN 1 END", "COUNT(*) FILTER (WHERE id)", "NOT metadata",
    ]) func textsAreRefused(_ expression: String) async throws {
        let fixture = try await Fixture()
        guard case .syntax? = try await fixture.refusal("SELECT \(expression) AS x FROM jobs") else {
            Issue.record("\(expression) is no error")
            return
        }
    }

    @Test(arguments: ["WHERE id", "WHERE payload", "WHERE tenant = '-' AND id", "WHERE $1", "GROUP BY tenant HAVING tenant"])
    func textsAreNoConditions(_ clause: String) async throws {
        guard case .syntax? = try await Fixture().refusal("SELECT 1 AS x FROM jobs \(clause)", [.text("abc")]) else {
            Issue.record("\(clause) is no error")
            return
        }
    }

    @Test func numbersAndTruthValuesAreTaken() async throws {
        let fixture = try await Fixture.orders()
        #expect(
            try await fixture.rows("SELECT SUM(priority > 5) AS a, ABS(-7) AS b, 7 % 2 AS c, -SUM(priority) AS d FROM jobs") == [
                "3|7|1|-75"
            ])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE priority - 10 ORDER BY id") == ["inv_a", "inv_b"])
        #expect(try await fixture.rows("SELECT SUM(NULL) AS a, ABS(NULL) AS b") == ["nil|nil"])
    }

    @Test func aNeighbourMayBeOfAnotherType() async throws {
        let fixture = try await Fixture.orders()
        let found = try await fixture.query(
            "SELECT LAG(priority, 1, -1) OVER (ORDER BY id) AS a, LEAD(priority) OVER (ORDER BY id) AS b FROM jobs ORDER BY id")
        #expect(found.columns.map(\.type) == [.int64, .uint8])
        #expect(found.texts == ["-1|50", "5|10", "50|10", "10|nil"])
    }

    // MARK: Of documents

    /// `{"n": …}`
    private func documents() async throws -> Fixture {
        let fixture = try await Fixture()
        let values: [(String, [UInt8])] = [
            ("half", [0xcb, 0x40, 0x25, 0, 0, 0, 0, 0, 0]), ("large", [0xcf, 0x11, 0x22, 0x10, 0xf4, 0x7d, 0xe9, 0x81, 0x15]),
            ("none", [0xc0]), ("text", [0xa3, 0x6e, 0x2f, 0x61]), ("three", [0x03]), ("yes", [0xc3]),
        ]
        for (id, value) in values { try await fixture.enqueue(id, payload: [0x81, 0xa1, 0x6e] + value) }
        return fixture
    }

    @Test func sumsOfDocumentsAreFractions() async throws {
        let fixture = try await documents()
        let some = "FROM jobs WHERE id IN ('half', 'three', 'none')"
        let found = try await fixture.query(
            "SELECT SUM(payload ->> 'n') AS a, AVG(payload ->> 'n') AS b, SUM(COALESCE(payload ->> 'n', 1)) AS c \(some)")
        #expect(found.columns.map(\.type) == [.float64, .float64, .float64])
        #expect(found.texts == ["13.5|6.75|14.5"])
        #expect(try await fixture.rows("SELECT (payload ->> 'n') / 2 AS h FROM jobs WHERE id = 'three'") == ["1.5"])
        #expect(try await fixture.rows("SELECT -(payload ->> 'n') AS h FROM jobs WHERE id = 'half'") == ["-10.5"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE id IN ('yes', 'none') AND payload ->> 'n'") == ["yes"])
    }

    @Test(arguments: [
        "SUM(payload ->> 'n')", "MAX((payload ->> 'n') + 1)", "SUM(ABS(payload ->> 'n'))", "MAX(-(payload ->> 'n'))",
    ]) func aTextInTheirPlaceIsAnError(_ expression: String) async throws {
        let refusal = try await documents().refusal("SELECT \(expression) AS x FROM jobs WHERE id = 'text'")
        #expect(refusal == .execution("cannot cast 'n/a' to a number"))
    }

    @Test func aTextIsNeitherLessNorGreaterThanANumber() async throws {
        let fixture = try await documents()
        for (condition, ids) in [
            ("payload ->> 'n' > 100", ["large"]), ("payload ->> 'n' <> 3", ["half", "large", "yes"]),
            ("NOT payload ->> 'n' > 100", ["half", "three", "yes"]), ("payload ->> 'n' < 100", ["half", "three", "yes"]),
            ("payload ->> 'n' IN (3, 10.5)", ["half", "three"]), ("payload ->> 'n' NOT IN (3, 10.5)", ["large", "yes"]),
            ("payload ->> 'n' BETWEEN 3 AND 11", ["half", "three"]), ("payload ->> 'n' > priority", ["large"]),
            ("payload ->> 'n' = 1234567890123456788", []), ("payload ->> 'n' = 1234567890123456790", []),
            ("payload ->> 'n' = 1234567890123456789", ["large"]), ("payload ->> 'n' = 'n/a'", ["text"]),
        ] {
            #expect(try await fixture.rows("SELECT id FROM jobs WHERE \(condition) ORDER BY id") == ids, "\(condition)")
        }
    }
}
