import HTTPServer
import SiloAPI
import SiloAccess
import SiloCore
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloWeb

/// The page of SQL over a server whose answers are made here.
@Suite(.timeLimit(.minutes(10))) struct SQLPageTests {
    private static func row(_ text: String) -> SiloV1.SerializedBytes {
        var row = SiloV1.SerializedBytes()
        let length = UInt32(text.utf8.count)
        // {"id": text}
        row.encoding = .msgpack(
            [0x81, 0xa2, 0x69, 0x64, 0xdb] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + Array(text.utf8))
        return row
    }

    private static func response(_ ids: String...) -> SiloV1.QueryResponse {
        var response = SiloV1.QueryResponse()
        var column = SiloV1.ColumnInfo()
        (column.name, column.dataType) = ("id", "Utf8")
        response.columns = [column]
        response.rows = ids.map(row)
        return response
    }

    @Test func aPartialAnswerSaysWhatIsMissing() async throws {
        let curl = Curl(try CountingSite(query: { request throws(CallFailure) in
            var response = Self.response("a")
            guard request.allowPartial else { return response }
            var missing = SiloV1.MissingShard()
            (missing.shardId, missing.reason) = ("s-1", "it is <away>")
            response.missingShards = [missing]
            response.notices = ["no job is <so>"]
            return response
        }))
        let whole = try await curl.get("/sql?q=SELECT+id+FROM+jobs")
        #expect(whole.text.contains("1 row") && !whole.text.contains("Without shard"))
        let part = try await curl.get("/sql?q=SELECT+id+FROM+jobs&partial=yes")
        #expect(part.text.contains("Without shard") && part.text.contains("it is &lt;away&gt;"))
        #expect(part.text.contains("no job is &lt;so&gt;") && !whole.text.contains("no job is"))
        #expect(try await curl.get("/sql/export.csv?q=SELECT+id+FROM+jobs&partial=yes", "-i").text.contains("silo-partial-"))
    }

    @Test func soManyExportsAreReadAtOnceAndTheNextIsTold() async throws {
        let freed = Signal()
        var answer = Self.response()
        // More than the system takes for whoever does not read.
        answer.rows = Array(repeating: Self.row(String(repeating: "x", count: 1 << 20)), count: 10)
        let response = answer
        // Who does not read keeps a slot for as long as it takes until all are taken.
        let site = try CountingSite(
            sendTime: .seconds(3600), exports: ExportSlots(freed: freed.raise), query: { _ throws(CallFailure) in response })
        let curl = Curl(site)
        let path = "/sql/export.csv?q=SELECT+id+FROM+jobs"
        var readers: [RawConnection] = []
        for _ in 0..<ExportSlots.countMax {
            let reader = try RawConnection(to: site.server.port, receiveBytes: 4096)
            reader.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(String(decoding: await reader.read(15), as: UTF8.self) == "HTTP/1.1 200 OK")
            readers.append(reader)
        }
        let refused = try await curl.get(path)
        #expect(refused.status == 503 && refused.text.contains("Too many exports at once"))
        readers = []
        try await freed.wait(for: "a slot again") { try await curl.get(path, "-o", "/dev/null").status == 200 }
    }

    @Test func theColumnsAreAskedForOnceAndAgainAfterAPause() async throws {
        let asked = Mutex<[String]>([])
        let isAway = Mutex(true)
        let site = try CountingSite(query: { request throws(CallFailure) in
            asked.withLock { $0.append(request.sql) }
            guard !isAway.withLock({ $0 }) else { throw CallFailure(.unavailable, "it is away") }
            return Self.response()
        })
        let curl = Curl(site)
        func look() async throws -> Int {
            let before = asked.withLock { $0.count }
            #expect(try await curl.get("/sql").status == 200)
            return asked.withLock { $0.count } - before
        }
        #expect(try await look() == 1, "one that does not tell is not asked for the others")
        isAway.withLock { $0 = false }
        #expect(try await look() == 0)
        site.clock.advance(milliseconds: 30_000)
        #expect(try await look() == 9)
        #expect(try await look() == 0)
    }

    @Test func aLongStatementGoesByPostFromAPageOfThisSiteAlone() async throws {
        let site = try CountingSite(query: { request throws(CallFailure) in Self.response("from \(request.sql.utf8.count)") })
        let curl = Curl(site)
        let long = "SELECT '" + String(repeating: "x", count: 20_000) + "'"
        let page = try await curl.get("/sql")
        let token = try #require(page.text.firstMatch(of: /id="sql-long" formmethod="post" name="form" value="([^"]+)"/)).1
        let fields = [("q", long), ("form", String(token))]
        for _ in 0..<2 {
            // A question may be asked again.
            let answer = try await curl.post("/sql", fields)
            #expect(answer.status == 200 && answer.text.contains("from \(long.utf8.count)"))
            #expect(answer.text.contains("formaction=\"/sql/export.csv\""))
        }
        let file = try await curl.post("/sql/export.csv", fields).text
        #expect(file.hasPrefix("id\r\n") && file.contains("from \(long.utf8.count)"))
        for path in ["/sql", "/sql/export.csv"] {
            #expect(try await curl.post(path, fields, origin: "https://evil.example").status == 403)
            #expect(try await curl.post(path, [("q", long), ("form", "made-up")]).status == 409)
            #expect(try await curl.post(path, [("q", long)]).status == 409)
        }
    }

    @Test func whoMayNotAskSeesNoneOfIt() async throws {
        let bound = Caller(name: "bound", proof: .token, roles: Roles([Role.read]), groups: ["mail"])
        let curl = Curl(try CountingSite(["t": bound], query: { _ throws(CallFailure) in Self.response() }))
        #expect(try await curl.post("/login", [("token", "t")]).status == 303)
        let page = try await curl.get("/counter")
        #expect(page.status == 200 && !page.text.contains("href=\"/sql\""))
        for path in ["/sql", "/sql/export.csv?q=SELECT+1"] {
            let answer = try await curl.get(path)
            #expect(answer.status == 403 && answer.text.contains("bound to task groups"))
        }
    }
}
