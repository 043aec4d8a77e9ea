import Protobuf
import SiloCore
import SiloEngine
import SiloTesting
import Testing

@testable import SiloQuery

/// What a statement may use, and what ends it.
@Suite(.timeLimit(.minutes(10))) struct BoundTests {
    private static let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"

    private func refusal(_ body: () async throws -> Void) async throws -> QueryError? {
        do {
            try await body()
            return nil
        } catch let error as QueryError {
            return error
        }
    }

    @Test func aStatementEndsWhenItsTimeIsOver() async throws {
        let fixture = try await Fixture()
        let error = try await refusal { _ = try await fixture.query(Self.endless, timeout: 50) }
        // On a busy machine it is over before the shard's view was taken: then it says whom it waited for.
        let isInTime = if case .timeout(50, _)? = error { true } else { false }
        #expect(isInTime, "\(String(describing: error))")
        #expect(try await fixture.rows("SELECT 1") == ["1"])
    }

    @Test func aStatementEndsWhenNobodyWaitsForIt() async throws {
        let fixture = try await Fixture()
        let queried = QueriedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        let control = StatementControl(timeoutMilliseconds: 0, clock: fixture.clock)
        async let result = refusal {
            _ = try await Query(Self.endless, of: [queried], now: Timestamp(0)).run(QueryLimits(), control)
        }
        control.cancel()
        #expect(try await result == .cancelled)
    }

    @Test func memoryAndResultsAreBounded() async throws {
        let fixture = try await Fixture()
        var limits = QueryLimits()
        limits.memoryBytesMax = 4 << 20
        let sorted =
            "WITH RECURSIVE n(i, t) AS (SELECT 1, $1 UNION ALL SELECT i + 1, $1 || i FROM n WHERE i < 1000) "
            + "SELECT t FROM n ORDER BY t"
        let long = Parameter.text(String(repeating: "x", count: 10_000))
        let small = limits
        #expect(try await refusal { _ = try await fixture.query(sorted, [long], limits: small) } == .memory(4 << 20))
        limits = QueryLimits()
        limits.resultBytesMax = 100
        let short = limits
        for number in 0..<30 { try await fixture.enqueue("j\(number)") }
        #expect(try await refusal { _ = try await fixture.query("SELECT * FROM jobs", limits: short) } == .resultTooLarge(100))
        limits = QueryLimits()
        limits.textBytesMax = 8
        limits.parametersMax = 1
        let tiny = limits
        guard case .syntax? = try await refusal({ _ = try await fixture.query("SELECT 1, 2", limits: tiny) }) else {
            Issue.record("a long statement is taken")
            return
        }
        guard case .parameter? = try await refusal({ _ = try await fixture.query("SELECT 1", [.null, .null], limits: tiny) })
        else {
            Issue.record("many parameters are taken")
            return
        }
    }

    @Test func nestingIsBounded() async throws {
        let fixture = try await Fixture()
        for sql in [
            "SELECT " + String(repeating: "(", count: 3000) + "1" + String(repeating: ")", count: 3000),
            "SELECT " + String(repeating: "NOT ", count: 3000) + "1", "SELECT " + String(repeating: "1+", count: 3000) + "1",
            "SELECT " + String(repeating: "(SELECT ", count: 3000) + "1" + String(repeating: ")", count: 3000),
            String(repeating: "SELECT 1 UNION ", count: 3000) + "SELECT 1",
            "SELECT 1 FROM " + Array(repeating: "jobs", count: 3000).joined(separator: ","),
        ] {
            guard case .syntax? = try await fixture.refusal(sql) else {
                Issue.record("\(sql.prefix(40))… is taken")
                continue
            }
        }
        // Understood twice at each level, for its columns and for itself.
        var nested = "SELECT 1"
        for _ in 0..<60 {
            nested = "WITH RECURSIVE n(i) AS (\(nested) UNION ALL SELECT i + 1 FROM n WHERE i < 2) SELECT MAX(i) FROM n"
        }
        let refusal = try await fixture.refusal(nested)
        #expect(refusal == .syntax("it reads more than 4096 tables, with those that its common tables stand for"))
        for (open, close) in [("abs(", ")"), ("(SELECT ", ")"), ("CASE WHEN true THEN ", " END"), ("NOT (true = ", ")")] {
            let sql = "SELECT " + String(repeating: open, count: 60) + "1" + String(repeating: close, count: 60)
            #expect(try await fixture.refusal(sql) == .syntax(Connection.tooDeep), "\(open)")
        }
        let deep = "SELECT " + String(repeating: "(", count: 150) + "1" + String(repeating: ")", count: 150)
        #expect(try await fixture.rows(deep) == ["1"])
    }

    @Test(arguments: [2, 89, 391, 399]) func chainsAreAsLongAsTheyMayBe(_ links: Int) async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a", priority: 7)
        func chain(_ sign: String, _ term: (Int) -> String) -> String {
            (0...links).map(term).joined(separator: " \(sign) ")
        }
        func right(_ sign: String, _ depth: Int) -> String {
            String(repeating: "priority > 98 \(sign) (", count: depth) + "id = 'a'" + String(repeating: ")", count: depth)
        }
        let last = links / 2 * 2 - 1
        let id = { (number: Int) in number % 2 == 0 ? "id = 'x\(number)'" : "priority = \(number == last ? 7 : 500)" }
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE \(chain("OR", id))") == ["a"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE NOT (\(chain("OR", id)))") == [])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE (\(chain("AND") { "priority <> 1\($0)" }))") == ["a"])
        let sums = "SELECT \(chain("-") { _ in "1" }), \(chain("+") { _ in "2" })"
        #expect(try await fixture.rows(sums) == ["\(1 - links)|\(2 * links + 2)"])
        #expect(try await fixture.rows("SELECT LENGTH(\(chain("||") { _ in "'x'" }))") == ["\(links + 1)"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE \(right("OR", min(links, 150)))") == ["a"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE \(right("AND", min(links, 150)))") == [])
    }

    @Test func aChainThatIsLongerSaysWhatToWriteInstead() async throws {
        let fixture = try await Fixture()
        let sql = "SELECT id FROM jobs WHERE " + Array(repeating: "id LIKE 'x'", count: 402).joined(separator: " OR ")
        #expect(
            try await fixture.refusal(sql)
                == .syntax("it has more than 400 operators in a row: write IN, or put some in parentheses"))
    }

    @Test func whatIsWrittenAnewAtEachLevelIsBounded() async throws {
        let fixture = try await Fixture()
        let text = String(repeating: "x", count: (1 << 20) - 1000)
        let sql = "SELECT " + String(repeating: "~", count: 390) + "LENGTH('\(text)') AS v FROM jobs GROUP BY tenant"
        let bound = "it takes more than \(64 << 20) bytes to write out, as each level holds those within it"
        #expect(try await fixture.refusal(sql) == .syntax(bound))
    }

    @Test func understandingEndsWhenNobodyWaits() throws {
        let control = StatementControl(timeoutMilliseconds: 0, clock: ManualClock())
        control.cancel()
        #expect(throws: QueryError.cancelled) { _ = try Compiler.compile("SELECT 1", [], tables: [:], control: control) }
    }

    /// Whatever the bytes, there is an answer or an error.
    @Test(arguments: 0..<4) func mutatedStatementsEnd(_ seed: Int) async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a", metadata: ["k": "v"])
        let random = SeededRandom(seed: UInt64(seed))
        let statements = [
            "SELECT id, COUNT(*) AS n FROM jobs WHERE tenant='-' AND (status_kind='Waiting' OR priority IN (1, 2)) "
                + "GROUP BY id HAVING n > 0 ORDER BY 2 DESC LIMIT 3 OFFSET 1",
            "WITH x AS (SELECT j.id, RANK() OVER (PARTITION BY tenant ORDER BY priority) r FROM jobs j) "
                + "SELECT CASE WHEN r > 1 THEN 'a' ELSE id END FROM x LEFT JOIN tasks t ON t.job_id = x.id",
            "SELECT array_contains(element_at(metadata,'k'),'v'), metadata['k'] LIKE 'v%' ESCAPE '!', "
                + "CAST(priority AS DOUBLE) / 0 FROM jobs",
        ]
        let pieces =
            Array("'\"()[],.*%$1;-|<>=_ \0é".unicodeScalars).map { String($0) } + [
                "SELECT ", " FROM ", " NULL ", "jobs", " AND ",
            ]
        for _ in 0..<150 {
            var text = Array(statements[Int(random.next() % 3)].unicodeScalars)
            for _ in 0..<(1 + random.next() % 4) {
                let place = Int(random.next() % UInt64(text.count))
                if random.next() % 2 == 0 {
                    text.remove(at: place)
                } else {
                    text.insert(contentsOf: pieces[Int(random.next() % UInt64(pieces.count))].unicodeScalars, at: place)
                }
            }
            var sql = String.UnicodeScalarView()
            sql.append(contentsOf: text)
            _ = try await refusal { _ = try await fixture.query(String(sql), timeout: 5000) }
        }
        #expect(try await fixture.rows("SELECT id FROM jobs") == ["a"])
    }
}
