import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct BulkActionTests {
    private static let other = Tenant("other")

    /// Jobs that stand everywhere, of which `failed` failed, `done` succeeded, `runs` runs, `later` waits for its time.
    private func fill(_ bench: Bench) async throws {
        for id in ["done", "failed", "runs"] {
            try await bench.enqueue(id, group: id)
            let task = try await bench.leaseOne(group: id)
            if id == "done" { try await bench.succeed(task) }
            if id == "failed" { try await bench.fail(task) }
        }
        try await bench.enqueue("later", after: 1 << 40)
        for index in 0..<20 { try await bench.enqueue("job \(index)", limits: [slots("x", 3)], metadata: ["k": "v"]) }
    }

    @Test("every job that can be cancelled is, once; of the others it is said why")
    func cancel() async throws {
        let bench = try await Bench.open(finding: WordFinder())
        try await fill(bench)
        let begun = try await bench.begin(.cancel)
        #expect((begun.expected, begun.goesOn, begun.startedBy) == (24, true, "tester"))
        let action = try await bench.finishBulk()
        #expect((action.end, action.done, action.refused, action.lookedAt) == (.done, 22, 2, 24))
        #expect(action.reasons == ["job is already in terminal state: 2"])
        #expect(Set(action.refusals[0].sample.map(\.id)) == ["done", "failed"])
        #expect(try await bench.state("job 7") == .cancelled)
        #expect(try await bench.state("later") == .cancelled)
        #expect(try await bench.job("runs")?.cancelledAt != nil)
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("what is restarted is not restarted again, though it fails again and again")
    func restart() async throws {
        let finder = WordFinder(rowsMax: 3)
        let bench = try await Bench.open(finding: finder)
        for index in 0..<10 {
            try await bench.enqueue("\(index)")
            try await bench.fail(bench.leaseOne())
        }
        // Whatever has been restarted fails at once.
        finder.afterEachPage { _ in for task in (try? await bench.lease(10)) ?? [] { try? await bench.fail(task) } }
        try await bench.begin(.restart, "failed")
        let action = try await bench.finishBulk()
        finder.afterEachPage(nil)
        #expect((action.done, action.refused, action.lookedAt) == (10, 0, 10))
        for task in try await bench.lease(10) { try await bench.fail(task) }
        for index in 0..<10 { #expect(try await bench.attempts("\(index)").count == 2) }
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("jobs that come after it began are left alone, also under the name of one that was there")
    func newcomers() async throws {
        let finder = WordFinder(rowsMax: 2)
        let bench = try await Bench.open(finding: finder)
        for index in 0..<6 { try await bench.enqueue("old \(index)") }
        finder.afterEachPage { number in
            if number == 1 {
                try? await bench.cancel("old 5")
                try? await bench.delete("old 5")
                _ = try? await bench.enqueue("old 5")
            }
            _ = try? await bench.enqueue("new \(number)")
        }
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        #expect((action.done, action.refused) == (5, 0))
        #expect(try await bench.state("old 4") == .cancelled)
        #expect(try await bench.state("old 5") == .scheduled)
        #expect(try await bench.state("new 1") == .scheduled)
        try await bench.finish()
    }

    @Test("a job that has changed since it was found is asked for anew")
    func changed() async throws {
        let finder = WordFinder(rowsMax: 100)
        let bench = try await Bench.open(finding: finder)
        for index in 0..<4 { try await bench.enqueue("\(index)", group: "\(index)") }
        finder.afterEachPage { number in
            // It does not meet the condition any more.
            if number == 1, let task = try? await bench.leaseOne(group: "2") { try? await bench.succeed(task) }
        }
        try await bench.begin(.cancel, "scheduled")
        let action = try await bench.finishBulk()
        #expect((action.done, action.refused, action.lookedAt) == (3, 0, 4))
        #expect(finder.pages == 2)
        #expect(try await bench.state("2") == .succeeded)
        try await bench.finish()
    }

    @Test("a job that changes all the while is refused, and the others go on")
    func restless() async throws {
        let finder = WordFinder(rowsMax: 100)
        let bench = try await Bench.open(finding: finder)
        for index in 0..<4 { try await bench.enqueue("\(index)", group: "\(index)") }
        finder.afterEachPage { _ in
            guard let task = try? await bench.leaseOne(group: "1") else { return }
            try? await bench.fail(task)
            try? await bench.restart("1")
        }
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        #expect((action.done, action.lookedAt) == (3, 4))
        #expect(action.reasons == ["job changes all the while: 1"])
        finder.afterEachPage(nil)
        #expect(try await bench.state("1") == .scheduled)
        try await bench.finish()
    }

    @Test("jobs that workers take one after another, each just before its turn, are not refused")
    func taken() async throws {
        let finder = WordFinder(rowsMax: 100)
        let bench = try await Bench.open(finding: finder)
        finder.afterEachPage { number in
            if number <= 6, let task = try? await bench.leaseOne(group: "\(number - 1)") { try? await bench.succeed(task) }
        }
        for index in 0..<8 { try await bench.enqueue("\(index)", group: "\(index)") }
        try await bench.begin(.cancel, "scheduled")
        let action = try await bench.finishBulk()
        #expect((action.done, action.refused, action.lookedAt) == (2, 0, 8))
        try await bench.finish()
    }

    @Test("scheduled jobs are expedited, finished ones deleted")
    func others() async throws {
        let bench = try await Bench.open(finding: WordFinder())
        try await fill(bench)
        try await bench.begin(.expedite)
        let expedited = try await bench.finishBulk()
        #expect((expedited.done, expedited.refused) == (1, 23))
        #expect(try await bench.nextStart("later") ?? .distantFuture <= bench.now)
        let next = BulkID(UUID(high: 1, low: 3))
        try await bench.begin(.delete, of: [Bench.tenant], next)
        let deleted = try await bench.finishBulk(next)
        #expect((deleted.done, deleted.refused, deleted.expected) == (2, 22, 24))
        #expect(deleted.reasons == ["job has not finished: 22"])
        #expect(try await bench.job("failed") == nil)
        #expect(try await bench.bulks().count == 2)
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("a job that cannot be read is refused by name, and the others go on")
    func damaged() async throws {
        let bench = try await Bench.open(finding: WordFinder())
        for index in 0..<4 { try await bench.enqueue("job \(index)") }
        try await bench.memory.write([Write(key: TenantKeys(Bench.tenant).status(JobID("job 2")), value: [0xff])])
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        #expect((action.end, action.done, action.reasons) == (.done, 3, ["job cannot be read: 1"]))
        #expect(action.refusals.first?.sample.map(\.id) == ["job 2"])
        try await bench.shard.close()
    }

    @Test("an action on a tenant touches no other's jobs; a dropped tenant has none")
    func tenants() async throws {
        let bench = try await Bench.open(finding: WordFinder())
        for tenant in [Bench.tenant, Self.other, Tenant("gone")] {
            for index in 0..<3 { try await bench.enqueue("\(index)", tenant: tenant) }
        }
        _ = try await bench.shard.run(DropTenant(tenant: Tenant("gone")))
        try await bench.begin(.cancel, of: [Self.other])
        #expect(try await bench.finishBulk().done == 3)
        #expect(try await bench.state("0") == .scheduled)
        let next = BulkID(UUID(high: 1, low: 3))
        try await bench.begin(.cancel, "all", next)
        #expect(try await bench.finishBulk(next).done == 3)
        #expect(
            try await refusal { try await bench.begin(.cancel, of: [Tenant("gone")], BulkID(UUID(high: 9, low: 9))) }
                == .tenantBeingDropped(Tenant("gone")))
        try await bench.finish()
    }

    @Test("what is stopped stays as it is, and one that cannot be answered says why")
    func stopped() async throws {
        let finder = WordFinder(rowsMax: 2)
        let bench = try await Bench.open(finding: finder)
        for index in 0..<10 { try await bench.enqueue("\(index)") }
        finder.afterEachPage { number in if number == 3 { _ = try? await bench.shard.run(StopBulk(Bench.bulk)) } }
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        #expect((action.end, action.done, action.lookedAt) == (.stopped, 4, 4))
        #expect(try await bench.shard.run(StopBulk(Bench.bulk)) == action, "stopping it again changes nothing")
        #expect(try await bench.begin(.cancel) == action, "nor does beginning it again")
        #expect(try await refusal { try await bench.begin(.delete) } == .invalidArgument("id is that of another action"))
        let next = BulkID(UUID(high: 1, low: 3))
        try await bench.begin(.cancel, "broken", next)
        let broken = try await bench.finishBulk(next)
        #expect((broken.end, broken.error, broken.done) == (.broken, "it is broken", 0))
        #expect(
            try await refusal { _ = try await bench.shard.run(StopBulk(BulkID(UUID(high: 7, low: 7)))) } == .bulkActionNotFound)
        try await bench.finish()
    }

    @Test(
        "a pause is sixteen times as long as the step, within bounds",
        arguments: [(0, 16), (5, 80), (400, 6400), (9000, 16_000)] as [(Int64, Int64)])
    func pause(step: Int64, milliseconds: Int64) {
        let clock = ManualClock()
        let mailbox = Mailbox(clock: clock, countMax: 1, budget: MemoryBudget(1), renewalBytesMax: 1)
        #expect(Courtesy(mailbox, clock, ofStep: 16, pauses: 16...16_000).pause(afterStep: step) == milliseconds)
    }

    @Test("neither its own steps nor who watches it slow an action down; other work does")
    func watched() throws {
        let clock = ManualClock()
        let mailbox = Mailbox(clock: clock, countMax: 100, budget: MemoryBudget(1 << 20), renewalBytesMax: 1 << 20)
        var courtesy = Courtesy(mailbox, clock, ofStep: 16, pauses: 16...16_000)
        let step = BulkStep(id: Bench.bulk, from: [], jobs: [], noted: 0, next: nil, rows: 0)
        for _ in 0..<3 {
            mailbox.post(PendingCommand(step) { _ in })
            mailbox.post(PendingCommand(ListBulks()) { _ in })
            let isBusy = courtesy.look()
            #expect(!isBusy)
        }
        mailbox.post(PendingCommand(EndBulk(id: Bench.bulk, error: nil)) { _ in })
        mailbox.post(PendingCommand(ForgetBulks()) { _ in })
        mailbox.post(PendingCommand(SweepFinished(part: .keptUntil(Slice.all[0], by: clock.now))) { _ in })
        mailbox.post(PendingCommand(DropStep(tenant: Bench.tenant)) { _ in })
        let isBusy = courtesy.look()
        #expect(!isBusy)
        mailbox.post(PendingCommand(ListPauses()) { _ in })
        let looks = (courtesy.look(), courtesy.look())
        #expect(looks == (true, false))
    }

    @Test("a sweep of many tenants is not held up by steps that take no time", arguments: [(0, 0), (2, 80), (100, 1000)])
    func housekeeping(step: Int64, milliseconds: Int64) {
        let clock = ManualClock()
        let mailbox = Mailbox(clock: clock, countMax: 1, budget: MemoryBudget(1), renewalBytesMax: 1)
        #expect(Courtesy(mailbox, clock, ofStep: 40, pauses: 0...1000).pause(afterStep: step) == milliseconds)
    }

    @Test(
        "a sweep after one that took long leaves less to other work",
        arguments: [(0, 40), (60_000, 40), (61_000, 39), (120_000, 20), (1_200_000, 2), (.max, 2)])
    func fasterSweep(milliseconds: Int64, pace: Int64) {
        #expect(Housekeeper.pace(after: milliseconds) == pace)
    }

    @Test("there are so many at once, and so many are remembered for so long")
    func bounds() async throws {
        let bench = try await Bench.open {
            $0.bulkActionsMax = 2
            $0.bulkActionsKept = 2
            $0.bulkKeptMilliseconds = 1000
            $0.housekeepingMilliseconds = Bench.housekeeping
        }
        func id(_ number: UInt64) -> BulkID { BulkID(UUID(high: 3, low: number)) }
        for number in UInt64(1)...5 {
            try await bench.begin(.cancel, "all", id(number))
            if number < 4 { _ = try await bench.shard.run(StopBulk(id(number))) }
            try await bench.pass(1)
        }
        #expect(
            try await refusal { try await bench.begin(.cancel, "all", id(6)) }
                == .exhausted("the shard has 2 bulk actions that go on, as many as it may"))
        #expect(Set(try await bench.bulks().compactMap { UUID(bytes: $0.id)?.low }) == [2, 3, 4, 5])
        try await bench.keepHouse(after: 1000)
        #expect(Set(try await bench.bulks().compactMap { UUID(bytes: $0.id)?.low }) == [4, 5])
        let again = try await bench.crash()
        #expect(Set(try await again.bulks().compactMap { UUID(bytes: $0.id)?.low }) == [4, 5])
        try await again.finish()
    }
}
