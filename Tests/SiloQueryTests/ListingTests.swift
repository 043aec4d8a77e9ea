import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloQuery

/// Lists of jobs, page by page.
@Suite(.timeLimit(.minutes(10))) struct ListingTests {
    private func view(_ fixture: Fixture) async throws -> ListedShard {
        ListedShard(id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
    }

    /// Goes on from page to page; each has a view of its own.
    private func pages(
        _ fixture: Fixture, jobsMax: Int, budget: JobListing.Budget = .init(), _ change: (inout JobFilter) -> Void = { _ in }
    ) async throws -> [JobListPage] {
        var filter = JobFilter()
        change(&filter)
        var pages: [JobListPage] = []
        var cursor: ListCursor?
        repeat {
            let listing = JobListing(
                filter, of: [try await view(fixture)], jobsMax: jobsMax, hasDetails: true, budget: budget, clock: fixture.clock)
            // As it goes through an address.
            let page = try #require(try await listing.page(after: cursor.flatMap { ListCursor($0.text) }))
            pages.append(page)
            cursor = page.next
        } while cursor != nil && pages.count < 10_000
        return pages
    }

    private func ids(_ pages: [JobListPage]) -> [String] { pages.flatMap { $0.jobs.map(\.id.text) } }

    private func failed(_ count: Int) async throws -> Fixture {
        let fixture = try await Fixture()
        for number in 0..<count {
            // Three of one moment, of several tenants.
            if number % 3 == 0 { try await fixture.pass(1000) }
            try await fixture.finish("f\(number)", tenant: Tenant("t\(number % 7)"), Fixture.failure)
        }
        return fixture
    }

    @Test func failuresComeNewestFirstOverAllTenantsEachOnce() async throws {
        let fixture = try await failed(40)
        for size in [1, 2, 7, 40, 100] {
            let pages = try await pages(fixture, jobsMax: size) { _ = $0.setStatus("Failed") }
            #expect(pages.allSatisfy { $0.isNewestFirst && $0.jobs.count <= size })
            let found = pages.flatMap(\.jobs)
            #expect(Set(found.map(\.id.text)).count == 40 && found.count == 40)
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.changedAt >= $1.changedAt })
            #expect(found.allSatisfy { $0.status == "Failed" && $0.errorCode == "BROKEN" && $0.attempt == 1 })
        }
    }

    @Test func aPageThatMayCostLittleGoesOnUntilTheEnd() async throws {
        let fixture = try await failed(30)
        var budget = JobListing.Budget()
        budget.jobs = 1
        for status in ["Failed", nil] {
            let pages = try await pages(fixture, jobsMax: 5, budget: budget) { filter in
                if let status { _ = filter.setStatus(status) }
                filter.groups = [TaskGroup("f17")]
            }
            #expect(ids(pages) == ["f17"])
            #expect(pages.allSatisfy { $0.lookedAt <= 1 })
        }
    }

    @Test(arguments: [1, 3, 100]) func ofJobsThatCannotBeReadTheNamesAreToldAndTheOthersShown(jobsMax: Int) async throws {
        let fixture = try await failed(12)
        func damage(_ number: Int, _ key: (TenantKeys, JobID) -> Bytes) async throws {
            let keys = TenantKeys(Tenant("t\(number % 7)"))
            try await fixture.store.write([Write(key: key(keys, JobID("f\(number)")), value: [0xff, 0xff])])
        }
        try await damage(3) { $0.job($1) }
        try await damage(5) { $0.status($1) }
        for status in ["Failed", nil] {
            let all = try await pages(fixture, jobsMax: jobsMax) { filter in if let status { _ = filter.setStatus(status) } }
            #expect(ids(all).sorted() == (0..<12).filter { ![3, 5].contains($0) }.map { "f\($0)" }.sorted())
            let unreadable = all.flatMap(\.unreadable)
            #expect(unreadable.map { "\($0.tenant)/\($0.id)" }.sorted() == ["t3/f3", "t5/f5"])
            #expect(unreadable.allSatisfy { $0.status == "" && $0.group == "" })
            #expect(all.allSatisfy { $0.jobs.count + $0.unreadable.count <= jobsMax })
        }
        // It may be in a group that whoever asks may not see.
        for tells in [true, false] {
            let some = try await pages(fixture, jobsMax: jobsMax) { filter in
                filter.groups = ["f3", "f4", "f5"]
                filter.tellsUnreadable = tells
            }
            #expect(ids(some) == ["f4"] && some.flatMap(\.unreadable).map(\.id.text).sorted() == (tells ? ["f3", "f5"] : ["f5"]))
        }
    }

    @Test func whatComesMeanwhileMovesNothing() async throws {
        let fixture = try await failed(10)
        var filter = JobFilter()
        _ = filter.setStatus("Failed")
        func page(_ cursor: ListCursor?) async throws -> JobListPage {
            let listing = JobListing(
                filter, of: [try await view(fixture)], jobsMax: 4, hasDetails: false, clock: fixture.clock)
            return try #require(try await listing.page(after: cursor))
        }
        let first = try await page(nil)
        try await fixture.pass(1000)
        try await fixture.finish("new", Fixture.failure)
        let rest = try await page(first.next)
        #expect(Set(first.jobs.map(\.id.text)).isDisjoint(with: rest.jobs.map(\.id.text)))
        #expect(!rest.jobs.map(\.id.text).contains("new"))
    }

    @Test func everyStatusHasItsJobs() async throws {
        let fixture = try await Fixture()
        try await fixture.finish("done", Fixture.success)
        try await fixture.finish("bad", Fixture.failure)
        try await fixture.finish("again", Fixture.failure, retries: 3)
        try await fixture.enqueue("run", group: "running")
        try await fixture.lease(group: "running")
        try await fixture.enqueue("wait")
        try await fixture.enqueue("later", after: 3_600_000)
        var slots = StorageV1.ConcurrencyLimit()
        (slots.key, slots.maxConcurrency) = ("gate", 1)
        var limit = StorageV1.Limit()
        limit.kind = .concurrency(slots)
        try await fixture.enqueue("holds", limits: [limit])
        try await fixture.enqueue("line", limits: [limit])
        let all: [(String, [String])] = [
            ("Succeeded", ["done"]), ("Failed", ["bad"]), ("Running", ["run"]), ("Waiting", ["holds", "line", "wait"]),
            ("Scheduled", ["again", "later"]), ("Cancelled", []),
        ]
        for tenants in [nil, [Fixture.tenant]] as [[Tenant]?] {
            for (status, wanted) in all {
                let pages = try await pages(fixture, jobsMax: 2) { filter in
                    filter.tenants = tenants
                    _ = filter.setStatus(status)
                }
                #expect(ids(pages).sorted() == wanted, "\(status)")
                #expect(pages.flatMap(\.jobs).allSatisfy { $0.status == status })
            }
            let everything = try await pages(fixture, jobsMax: 3) { $0.tenants = tenants }
            #expect(ids(everything).sorted() == all.flatMap(\.1).sorted())
            #expect(everything.flatMap(\.jobs).allSatisfy { job in
                all.contains { $0.0 == job.status && $0.1.contains(job.id.text) }
            })
            let gated = try await pages(fixture, jobsMax: 3) { ($0.tenants, $0.limitKey) = (tenants, "gate") }
            #expect(ids(gated).sorted() == ["holds", "line"])
        }
    }

    @Test func anyFiltersHoldTogether() async throws {
        let fixture = try await Fixture()
        for number in 0..<20 {
            let metadata: TextMap<String> = ["env": number % 2 == 0 ? "prod" : "test", "n": "\(number)"]
            try await fixture.enqueue("m\(number)", group: number < 10 ? "a" : "b", metadata: metadata)
        }
        for tenants in [nil, [Fixture.tenant]] as [[Tenant]?] {
            let found = try await pages(fixture, jobsMax: 3) { filter in
                filter.tenants = tenants
                filter.groups = [TaskGroup("b")]
                filter.metadata = [("env", "prod")]
                _ = filter.setStatus("Waiting")
            }
            #expect(ids(found).sorted() == ["m10", "m12", "m14", "m16", "m18"])
        }
        let now = fixture.clock.now.milliseconds
        #expect(try await ids(pages(fixture, jobsMax: 9) { $0.changed = 0..<now }).isEmpty)
        #expect(try await ids(pages(fixture, jobsMax: 9) { $0.changed = now..<now + 1 }).count == 20)
    }

    @Test func aTimeIsFoundByTheIndex() async throws {
        let fixture = try await failed(30)
        let newest = fixture.clock.now.milliseconds
        let pages = try await pages(fixture, jobsMax: 10) { filter in
            _ = filter.setStatus("Failed")
            filter.changed = newest - 3000..<newest
        }
        #expect(ids(pages).count == 9)
        #expect(pages.reduce(0) { $0 + $1.lookedAt } <= 9)
    }

    /// What a list of the newest failures is, and how many ranges were read for it.
    private func newest(_ fixture: Fixture, _ count: Int, after cursor: ListCursor? = nil) async throws -> (JobListPage, Int) {
        let scans = ScanCounter(try await fixture.shard.snapshot())
        let shard = ListedShard(
            id: fixture.id, range: .all, reader: scans, moment: fixture.shard.moment,
            failureBounds: fixture.shard.failureBounds)
        var filter = JobFilter()
        _ = filter.setStatus("Failed")
        let listing = JobListing(filter, of: [shard], jobsMax: count, hasDetails: true, clock: fixture.clock)
        let page = try #require(try await listing.page(after: cursor))
        return (page, scans.count)
    }

    @Test func whoListsTheFailureBoundsReadsTheSlicesThatHaveThem() async throws {
        let fixture = try await Fixture()
        for number in 0..<120 {
            try await fixture.pass(1000)
            try await fixture.finish("f\(number)", tenant: Tenant("t\(number)"), Fixture.failure)
        }
        let ids = { (page: JobListPage) in page.jobs.map(\.id.text) }
        let (first, all) = try await newest(fixture, 5)
        let expected = (115..<120).reversed().map { "f\($0)" }
        #expect(ids(first) == expected && all > 100)
        let (second, few) = try await newest(fixture, 5)
        #expect(ids(second) == expected && few < 30, "\(few) ranges were read")

        // What comes meanwhile comes first, and what has gone is not there.
        try await fixture.pass(1000)
        try await fixture.finish("new", tenant: Tenant("t3"), Fixture.failure)
        try await fixture.shard.run(Delete(tenant: Tenant("t119"), id: JobID("f119")))
        let (third, still) = try await newest(fixture, 3)
        #expect(ids(third) == ["new", "f118", "f117"] && still < 30, "\(still) ranges were read")

        // From page to page to the end, each once.
        var (seen, page) = ([String](), try await newest(fixture, 7).0)
        seen += ids(page)
        while let cursor = page.next {
            page = try await newest(fixture, 7, after: cursor).0
            seen += ids(page)
        }
        #expect(seen.count == 120 && Set(seen).count == 120 && seen.first == "new" && seen.last == "f0")
    }

    @Test func cursorsThatAreNoneAreRefused() async throws {
        for text in ["zz", "0", "00", String(repeating: "0", count: 32), String(repeating: "f", count: 1 << 20)] {
            #expect(ListCursor(text) == nil)
        }
        let fixture = try await failed(3)
        var filter = JobFilter()
        _ = filter.setStatus("Failed")
        let strange = ListCursor(shard: ShardID(UUID(high: 1, low: 2)), key: [1])
        let lost = ListCursor(shard: fixture.id, key: [0xff, 1, 2])
        for cursor in [strange, lost] {
            let listing = JobListing(filter, of: [try await view(fixture)], jobsMax: 4, hasDetails: true, clock: fixture.clock)
            #expect(try await listing.page(after: cursor) == nil)
        }
    }
}

/// Counts the ranges that are read.
private final class ScanCounter: StoreReader {
    private let reader: any StoreReader
    private let scans = Atomic(0)

    init(_ reader: any StoreReader) { self.reader = reader }

    var count: Int { scans.load(ordering: .relaxed) }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await reader.get(key) }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        scans.add(1, ordering: .relaxed)
        return try await reader.scan(from: start, to: end, limit: limit)
    }

    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        scans.add(1, ordering: .relaxed)
        return try await reader.page(from: start, to: end, limit: limit, bytesMax: bytesMax)
    }
}

/// What starts when.
@Suite(.timeLimit(.minutes(10))) struct ScheduleTests {
    @Test func jobsAreCountedByTheirStart() async throws {
        let fixture = try await Fixture()
        for number in 0..<20 {
            try await fixture.enqueue("s\(number)", after: Int64(number) * 60_000 + 30_000, group: number % 2 == 0 ? "a" : "b")
        }
        try await fixture.finish("again", Fixture.failure, retries: 1)
        let shard = ListedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        func schedule(_ budget: JobListing.Budget = .init()) -> JobSchedule {
            JobSchedule(
                of: [shard], from: fixture.clock.now, slotMilliseconds: 60_000, slots: 10, jobsMax: 3, budget: budget,
                clock: fixture.clock)
        }
        let found = try await schedule().queues(of: Fixture.tenant, 0, groups: nil)
        #expect(found.scheduled == 21)
        let answer = try await schedule().answer(found.queues)
        // The retry comes after a minute.
        #expect(answer.slots == [1, 2, 1, 1, 1, 1, 1, 1, 1, 1])
        #expect(answer.jobs.map(\.id.text) == ["s0", "again", "s1"] && answer.wholeUntil == nil)
        let own = try await schedule().queues(of: Fixture.tenant, 0, groups: [TaskGroup("a")])
        #expect(try await schedule().answer(own.queues).slots == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
        // Queues whose first job starts after what is asked for are not read.
        for number in 0..<30 { try await fixture.enqueue("late\(number)", after: 86_400_000, group: "late\(number)") }
        let scans = ScanCounter(try await fixture.shard.snapshot())
        let counted = JobSchedule(
            of: [ListedShard(id: fixture.id, range: .all, reader: scans, moment: fixture.shard.moment)],
            from: fixture.clock.now, slotMilliseconds: 60_000, slots: 10, jobsMax: 3, clock: fixture.clock)
        let more = try await counted.queues(of: Fixture.tenant, 0, groups: nil)
        let soon = try await counted.answer(more.queues)
        #expect(more.queues.count > 30 && soon.slots == answer.slots && scans.count < 10, "\(scans.count) ranges were read")

        var budget = JobListing.Budget()
        budget.jobs = 4
        let part = try await schedule(budget).answer(found.queues)
        // Those of s0, again, s1 and s2: s3 is the next.
        let whole = try #require(part.wholeUntil).milliseconds - fixture.clock.now.milliseconds
        #expect(part.slots == [1, 2, 1, 0, 0, 0, 0, 0, 0, 0] && whole == 210_000, "\(whole)")
    }

    @Test func ofTimersThatCannotBeReadTheNamesAreToldAndTheOthersShown() async throws {
        let fixture = try await Fixture()
        for number in 0..<6 { try await fixture.enqueue("s\(number)", after: Int64(number) * 60_000 + 30_000) }
        let whole = try await answer(fixture)
        #expect(whole.jobs.count == 6 && whole.unreadable.isEmpty)
        let keys = TenantKeys(Fixture.tenant)
        let group = TaskGroup(try #require(whole.jobs.first).group)
        let range = keys.dates(group, from: Position(from: 0))
        let timers = try await fixture.store.scan(from: range.start, to: range.end, limit: 100)
        #expect(timers.count == 6)
        for number in [1, 4] { try await fixture.store.write([Write(key: timers[number].key, value: [0xff, 0xff])]) }
        let answer = try await answer(fixture)
        #expect(answer.jobs.map(\.id.text) == ["s0", "s2", "s3", "s5"] && answer.slots == whole.slots)
        #expect(answer.unreadable.map(\.id.text) == ["s1", "s4"])
        #expect(answer.unreadable.map(\.nextStart) == [1, 4].map { whole.jobs[$0].nextStart })
        #expect(answer.unreadable.allSatisfy { $0.tenant == Fixture.tenant && $0.status == "" && $0.group == "" })
        // They take the place of others.
        let few = try await self.answer(fixture, jobsMax: 3)
        #expect(few.jobs.map(\.id.text) == ["s0", "s2"] && few.unreadable.map(\.id.text) == ["s1"] && few.slots == whole.slots)
    }

    private func answer(_ fixture: Fixture, jobsMax: Int = 100) async throws -> JobSchedule.Answer {
        let shard = ListedShard(
            id: fixture.id, range: .all, reader: try await fixture.shard.snapshot(), moment: fixture.shard.moment)
        let schedule = JobSchedule(
            of: [shard], from: fixture.clock.now, slotMilliseconds: 60_000, slots: 10, jobsMax: jobsMax, clock: fixture.clock)
        return try await schedule.answer(try await schedule.queues(of: Fixture.tenant, 0, groups: nil).queues)
    }
}
