import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

@testable import SiloQuery

/// Texts are their bytes: those that look alike are others, and no mark that follows changes a wildcard or a quote.
@Suite(.timeLimit(.minutes(10))) struct ByteTests {
    private static let alike = ["\u{e9}", "e\u{301}"]

    @Test func idsThatLookAlikeAreTwo() async throws {
        let fixture = try await Fixture()
        for id in Self.alike { try await fixture.enqueue(id) }
        let ids = Self.alike.map { "'\($0)'" }.joined(separator: ", ")
        let lengths = "SELECT octet_length(id) AS n FROM jobs WHERE tenant = '-' AND id IN (\(ids)) ORDER BY 1"
        #expect(try await fixture.rows(lengths) == ["2", "3"])
    }

    @Test func taskGroupsThatLookAlikeAreTwo() async throws {
        let fixture = try await Fixture()
        for group in Self.alike { try await fixture.enqueue("of \(group.utf8.count)", group: group) }
        let tasks = "SELECT job_id FROM tasks WHERE task_group = '\(Self.alike[1])'"
        #expect(try await fixture.rows(tasks) == ["of 3"])
    }

    @Test func limitsThatLookAlikeAreTwo() async throws {
        let fixture = try await Fixture()
        for (index, key) in Self.alike.enumerated() {
            var slots = StorageV1.ConcurrencyLimit()
            slots.key = key
            slots.maxConcurrency = UInt32(index + 1)
            var limit = StorageV1.Limit()
            limit.kind = .concurrency(slots)
            for job in 0..<(index + 2) { try await fixture.enqueue("\(index) \(job)", limits: [limit]) }
        }
        let counts = "SELECT max_concurrency, holders, requesters FROM queue_counts ORDER BY 1"
        #expect(try await fixture.rows(counts) == ["1|1|1", "2|2|1"])
        #expect(try await fixture.rows("SELECT maximum, held, waiting FROM limits ORDER BY 1") == ["1|1|1", "2|2|1"])
    }

    /// With a label and a limit of this name.
    private static func job(_ name: String) -> StorageV1.Job {
        var slots = StorageV1.ConcurrencyLimit()
        slots.key = name
        var limit = StorageV1.Limit()
        limit.kind = .concurrency(slots)
        var job = StorageV1.Job()
        job.metadata = ["k": name]
        job.limits = [limit]
        return job
    }

    @Test func labelsAndLimitsOfAListThatLookAlikeAreTwo() async throws {
        var (byLabel, byLimit) = (JobFilter(), JobFilter())
        byLabel.metadata = [("k", Self.alike[0])]
        byLimit.limitKey = Self.alike[0]
        for filter in [byLabel, byLimit] { #expect(Self.alike.map { filter.takes(Self.job($0)) } == [true, false]) }
    }

    @Test func errorCodesOfAListThatLookAlikeAreTwo() async throws {
        let fixture = try await Fixture()
        for code in Self.alike { try await fixture.finish("\(code.utf8.count)", .failure(code: code, data: [])) }
        let view = ListedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        for code in Self.alike {
            var filter = JobFilter()
            filter.errorCode = code
            let listing = JobListing(filter, of: [view], jobsMax: 10, hasDetails: true, budget: .init(), clock: fixture.clock)
            let page = try #require(try await listing.page(after: nil))
            #expect(page.jobs.map(\.id.text) == ["\(code.utf8.count)"])
        }
    }

    @Test func whatLooksLikeWhatIsGroupedByIsNot() async throws {
        let fixture = try await Fixture.orders()
        let refusal = try await fixture.refusal(
            "SELECT id || '\(Self.alike[0])' AS a, COUNT(*) FROM jobs GROUP BY id || '\(Self.alike[1])'")
        #expect(refusal == .syntax("column id is neither grouped by nor in an aggregate"))
    }

    @Test func aWildcardIsOneWhateverFollows() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("axe\u{301}", metadata: ["k": "vxe\u{301}!"])
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE tenant = '-' AND id LIKE 'a%\u{301}'").count == 1)
        #expect(try await fixture.rows("SELECT id FROM jobs WHERE metadata['k'] LIKE 'v%\u{301}%'").count == 1)
    }

    @Test func aQuoteInANameIsOneWhateverFollows() async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.query("SELECT 1 AS \"a\"\"\u{301}\"").names == ["a\"\u{301}"])
        #expect(quoted("a\"\u{301}").utf8.elementsEqual("\"a\"\"\u{301}\"".utf8))
    }
}
