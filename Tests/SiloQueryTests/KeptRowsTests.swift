import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// Rows of small tables are kept for a join that asks for them again and again.
@Suite(.timeLimit(.minutes(10))) struct KeptRowsTests {
    private static func joined(_ columns: String) -> String {
        "SELECT \(columns) FROM (VALUES (1), (2), (3)) AS v CROSS JOIN attempts AS a"
    }

    @Test func largeRowsAreReadAnew() async throws {
        let fixture = try await Fixture()
        let result: Bytes = [0xdb, 0, 0x0a, 0, 0] + Bytes(repeating: 0x61, count: 0xa0000)
        for id in ["a", "b"] { try await fixture.finish(id, .success(result: result)) }
        let once = try await fixture.query("SELECT COUNT(*) FROM attempts").scanned
        let kept = try await fixture.query(Self.joined("COUNT(*) AS n"))
        #expect((kept.texts, kept.scanned) == (["6"], once), "what is not asked for takes no room")
        let read = try await fixture.query(Self.joined("SUM(LENGTH(a.result)) AS n"))
        #expect((read.texts, read.scanned) == (["\(6 * (0xa0000 + 2))"], 3 * once))
    }

    @Test func aDocumentThatIsTooLargeIsAnErrorWhereItIsRead() async throws {
        let fixture = try await Fixture()
        try await fixture.finish("a", .success(result: [0xda, 0x10, 0] + Bytes(repeating: 0x61, count: 0x1000)))
        var limits = QueryLimits()
        limits.valueBytesMax = 1024
        #expect(try await fixture.query("SELECT outcome FROM attempts", limits: limits).texts == ["Succeeded"])
        let small = limits
        await #expect(throws: QueryError.execution("a value has more than 1024 bytes")) {
            _ = try await fixture.query("SELECT result FROM attempts", limits: small)
        }
    }

    @Test func textsThatLookAlikeAreTwo() async throws {
        let fixture = try await Fixture()
        let alike = ["\u{e9}", "e\u{301}"]
        for id in alike { try await fixture.finish(id, group: "of \(id.utf8.count)", Fixture.success) }
        let sql = """
            SELECT octet_length(a.job_id) AS n FROM (VALUES ('\(alike[0])'), ('\(alike[1])')) AS v
            CROSS JOIN attempts AS a WHERE a.tenant = '-' AND a.job_id = v.column1 ORDER BY 1
            """
        #expect(try await fixture.rows(sql) == ["2", "3"])
    }
}
