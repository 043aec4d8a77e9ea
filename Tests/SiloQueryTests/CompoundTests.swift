import SiloCore
import Testing

@testable import SiloQuery

/// LIMIT and OFFSET of several selects together: rows are passed over once, not once in each.
@Suite(.timeLimit(.minutes(10))) struct CompoundTests {
    private static let arms = "SELECT id FROM jobs WHERE tenant='a' UNION ALL SELECT id FROM jobs WHERE tenant='b'"

    private func filled() async throws -> Fixture {
        let fixture = try await Fixture()
        for tenant in ["a", "b"] {
            for number in 10..<22 { try await fixture.enqueue("\(tenant)\(number)", tenant: Tenant(tenant)) }
        }
        return fixture
    }

    @Test(arguments: [
        (0, ["a10", "a11", "a12", "a13", "a14"]), (10, ["a20", "a21", "b10", "b11", "b12"]),
        (12, ["b10", "b11", "b12", "b13", "b14"]), (13, ["b11", "b12", "b13", "b14", "b15"]), (21, ["b19", "b20", "b21"]),
        (24, []), (100, []),
    ]) func rowsArePassedOverOnce(_ offset: Int, _ ids: [String]) async throws {
        let fixture = try await filled()
        let sql = "\(Self.arms) LIMIT 5 OFFSET \(offset)"
        #expect(try await fixture.rows(sql) == ids)
        #expect(try await fixture.rows("SELECT id FROM (\(sql)) AS x") == ids)
        #expect(try await fixture.rows("SELECT COUNT(*) FROM (\(sql)) AS x") == ["\(ids.count)"])
        #expect(try await fixture.rows("SELECT id FROM (\(Self.arms)) AS x LIMIT 5 OFFSET \(offset)") == ids)
        #expect(try await fixture.rows("WITH x AS (\(Self.arms)) SELECT id FROM x LIMIT 5 OFFSET \(offset)") == ids)
    }

    @Test func theScanOfOneSelectPassesOverThem() async throws {
        let fixture = try await filled()
        let found = try await fixture.query("SELECT id, payload FROM jobs WHERE tenant='a' ORDER BY id LIMIT 2 OFFSET 5")
        #expect(found.texts.map { $0.prefix(3) } == ["a15", "a16"])
    }
}
