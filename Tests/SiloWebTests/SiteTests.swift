import Foundation
import HTTPServer
import SiloCore
import SiloTesting
import TestSupport
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct SiteTests {
    private func question(_ curl: Curl) async throws -> Curl.Answer {
        try await curl.get("/do/add?id=a%26b&back=%2Fcounter")
    }

    private func send(_ question: Curl.Answer, _ curl: Curl, origin: String? = nil) async throws -> Curl.Answer {
        let fields = ["form", "id", "back"].map { ($0, question.field($0).replacingOccurrences(of: "&amp;", with: "&")) }
        return try await curl.post("/do/add", fields, origin: origin)
    }

    @Test func `an action asks, is done once, tells what it did, and can be undone`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        #expect(try await curl.get("/counter").text.contains("href=\"/do/add?id=a%26b&amp;back=%2Fcounter\""))
        let asked = try await question(curl)
        #expect(asked.text.contains("one more for a&amp;b") && asked.text.contains("cannot be undone") && counting.done == 0)
        let done = try await send(asked, curl)
        #expect(done.status == 303 && done.location == "/counter" && counting.done == 1)
        let page = try await curl.get("/counter")
        #expect(page.text.contains("One more for a&amp;b.") && page.text.contains("Undo"))
        #expect(!(try await curl.get("/counter")).text.contains("One more"), "a notice is told once")
        let undone = try await curl.post("/do/remove", [("form", page.field("form")), ("id", "a&b"), ("back", "/counter")])
        #expect(undone.status == 303 && counting.done == 0)
        #expect(try await curl.get("/counter").text.contains("Taken back."))
    }

    @Test func `the same form twice does nothing twice`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        let asked = try await question(curl)
        _ = try await send(asked, curl)
        let again = try await send(asked, curl)
        #expect(again.status == 409 && again.text.contains("was done already") && counting.done == 1)
    }

    @Test func `what could not be done is done by the same form later`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        let asked = try await question(curl)
        counting.failuresAhead.add()
        let failed = try await send(asked, curl)
        #expect(failed.status == 503 && failed.text.contains("The shard is being opened.") && counting.done == 0)
        #expect(try await send(asked, curl).status == 303)
        #expect(counting.done == 1)
        #expect(try await send(asked, curl).status == 409)
        #expect(counting.done == 1)
    }

    @Test func `a script that looks again leaves what there is to tell to the next page`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        _ = try await send(try await question(curl), curl)
        #expect(!(try await curl.get("/counter", "-H", "Silo-Refresh: yes")).text.contains("One more"))
        #expect(try await curl.get("/counter").text.contains("One more"))
    }

    @Test func `what takes long to find comes after a page that has begun`() async throws {
        let gate = Gate()
        let counting = try CountingSite(find: {
            await gate.wait()
            return ("It is <found>", "Find 7")
        })
        let curl = Curl(counting)
        let page = try curl.watch("/do/find")
        #expect(try await page.firstLine() == "<!doctype html>")
        gate.open()
        let text = try await page.ending().output
        #expect(text.contains("Looking</p><div>It is <found></div></div>"))
        #expect(text.contains("<button class=\"button primary\">Find 7<"))
        #expect(text.hasSuffix("</footer></body>\n</html>\n") && text.ranges(of: "</section>").count == 1)
        let asked = try await curl.get("/do/find")
        #expect(try await curl.post("/do/find", [("form", asked.field("form"))]).status == 303)
    }

    @Test func `what cannot be found says why, and leaves nothing to press`() async throws {
        let curl = Curl(try CountingSite(find: { throw CallFailure(.busy, "too many <statements>") }))
        let asked = try await curl.get("/do/find")
        #expect(asked.text.contains("<p>Too many &lt;statements&gt;.</p>") && asked.text.contains("Leave it as it is"))
        #expect(!asked.text.contains("Find it</button>") && asked.text.hasSuffix("</html>\n"))
    }

    @Test func `nobody looks on for a visitor who has left`() async throws {
        let (begun, ended) = (Tally(), Tally())
        let counting = try CountingSite(find: {
            begun.add()
            await untilCancelled()
            ended.add()
            return ("", nil)
        })
        let page = try Curl(counting).watch("/do/find")
        try await begun.until(1)
        #expect(ended.value == 0)
        page.kill()
        try await ended.until(1)
        withExtendedLifetime(counting) {}
    }

    @Test func `whoever does not read a live stream is let go, and others are served`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        let slow = try RawConnection(to: counting.server.port, receiveBytes: 4096)
        slow.send("GET /live/counter HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try await eventually("it is open") { counting.site.hub.count == 1 }
        let pieces = ["a", "b"].map { LiveTopic.Region("count", "\(String(repeating: $0, count: 100_000))") }
        var events = 0
        try await eventually("it is let go") {
            events += 1
            counting.site.hub.publish("counter", [pieces[events % 2]])
            return counting.site.hub.count == 0
        }
        #expect(events > 8, "so many may wait")
        #expect(try await curl.get("/counter").status == 200)
        withExtendedLifetime(slow) {}
    }

    @Test func `a form of before a restart says so and does nothing`() async throws {
        let (old, new) = (try CountingSite(), try CountingSite(seed: 2))
        let asked = try await question(Curl(old))
        let curl = Curl(new)
        _ = try await question(curl)
        let answer = try await send(asked, curl)
        #expect(answer.status == 409 && answer.text.contains("out of date") && new.done == 0, "\(answer)")
    }

    @Test func `a form of somebody else, or from elsewhere, does nothing`() async throws {
        let counting = try CountingSite()
        let asked = try await question(Curl(counting))
        let other = Curl(counting)
        _ = try await question(other)
        #expect(try await send(asked, other).status == 409)
        #expect(try await send(asked, Curl(counting)).status == 409)
        let mine = try await question(other)
        let forged = try await send(mine, other, origin: "http://evil.example")
        #expect(forged.status == 403 && counting.done == 0)
        #expect(try await send(mine, other).status == 303)
    }

    @Test func `a field that is missing is named, before and after the question`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        let answer = try await curl.get("/do/add")
        #expect(answer.status == 400 && answer.text.contains("The field id is required."))
    }

    @Test(arguments: [
        ("/limit", "/limits", "limit"), ("/limit?key=&tenant=a", "/limits", "limit"), ("/group", "/groups", "task group"),
        ("/worker", "/workers", "worker"), ("/tenant", "/tenants", "tenant"), ("/job", "/jobs", "job"),
        ("/action", "/actions", "action"),
    ])
    func `a page about one thing leads to the list when none is named`(path: String, list: String, kind: String) async throws {
        let answer = try await Curl(try CountingSite()).get(path)
        #expect(answer.status == 400 && answer.text.contains("No \(kind) is named"))
        #expect(answer.text.contains("href=\"\(list)\">Show all \(kind)s</a>"))
    }

    @Test func `where to go on is never elsewhere`() async throws {
        let counting = try CountingSite()
        let curl = Curl(counting)
        let asked = try await curl.get("/do/add?id=x&back=%2F%2Fevil.example")
        #expect(!asked.text.contains("href=\"//evil"))
        let done = try await curl.post("/do/add", [("form", asked.field("form")), ("id", "x"), ("back", "//evil.example")])
        #expect(done.location == "/")
    }

    @Test func `a role decides what is offered and what is done`() async throws {
        let reader = Caller(name: "reader", proof: .token, roles: Roles([.read]))
        let operator_ = Caller(name: "ops", proof: .token, roles: Roles([.operate]))
        let counting = try CountingSite(["r": reader, "o": operator_])
        let curl = Curl(counting)
        _ = try await curl.post("/login", [("token", "r")])
        #expect(!(try await curl.get("/counter")).text.contains("/do/add"))
        #expect(try await question(curl).status == 403)
        #expect(try await curl.post("/do/add", [("id", "x")]).status == 403)
        let other = Curl(counting)
        _ = try await other.post("/login", [("token", "o")])
        #expect(try await send(try await question(other), other).status == 303)
        #expect(counting.done == 1)
    }

    @Test func `an action after the session has ended asks to sign in, and is not done`() async throws {
        let counting = try CountingSite(["o": Caller(name: "ops", proof: .token, roles: Roles([.operate]))])
        let curl = Curl(counting)
        _ = try await curl.post("/login", [("token", "o")])
        let asked = try await question(curl)
        counting.clock.advance(milliseconds: 60_001)
        let answer = try await send(asked, curl)
        #expect(answer.status == 401 && answer.text.contains("Nothing was done") && counting.done == 0)
        let page = try await curl.get("/counter")
        #expect(page.status == 303 && page.location == "/login?next=%2Fcounter")
    }

    @Test func `what a call refuses is a page that says so`() async throws {
        let counting = try CountingSite()
        let answer = try await Curl(counting).get("/missing")
        #expect(answer.status == 404 && answer.text.contains("Job not found."))
    }

    @Test func `the menu has the pages that have a title in it`() async throws {
        let counting = try CountingSite()
        let text = try await Curl(counting).get("/counter").text
        #expect(text.contains("<a href=\"/counter\" aria-current=\"page\">Counter</a>") && !text.contains("href=\"/missing\""))
    }
}
