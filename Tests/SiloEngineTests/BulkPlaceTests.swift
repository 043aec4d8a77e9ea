import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// Pending attempts of a bulk action's jobs, which stand somewhere in rows of another order than the jobs.
@Suite(.timeLimit(.minutes(10))) struct BulkPlaceTests {
    private static let far: Int64 = 1 << 40

    /// Jobs at every place that a pending attempt may have, each with what else its queue has.
    private func fill(_ bench: Bench) async throws {
        for group in ["mixed", "alone"] {
            try await bench.enqueue("\(group) held", group: group, limits: [slots(group, 1)])
            for index in 0..<3 {
                try await bench.enqueue("\(group) waits \(index)", group: group, limits: [slots(group, 1)])
                try await bench.enqueue("\(group) later \(index)", after: Self.far, group: group)
                try await bench.enqueue("\(group) limited later \(index)", after: Self.far, group: group, limits: [slots("z", 1)])
            }
        }
        for index in 0..<3 { try await bench.enqueue("ready \(index)", group: "mixed") }
        try await bench.enqueue("backoff", retries: 3, group: "backoff")
        try await bench.fail(bench.leaseOne(group: "backoff"))
    }

    @Test("wherever they stand they are taken from there, and what they held is free")
    func everywhere() async throws {
        let bench = try await Bench.open(finding: WordFinder(rowsMax: 100))
        try await fill(bench)
        let places = try await bench.places("mixed held", "mixed waits 0", "mixed later 0", "ready 0")
        #expect(places == [.ready, .waiting, .timer, .ready])
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        #expect((action.end, action.done, action.refused) == (.done, 24, 0))
        #expect(try await bench.held("mixed") ?? 0 == 0)
        #expect(bench.memory.jobRows.filter { (0x20...0x24).contains($0.key[2]) } == [], "nothing is left behind")
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("jobs that wait for their time are expedited, with their attempts")
    func expedited() async throws {
        let bench = try await Bench.open(finding: WordFinder(rowsMax: 100))
        for index in 0..<5 { try await bench.enqueue("later \(index)", after: Self.far) }
        for index in 0..<2 { try await bench.enqueue("limited \(index)", after: Self.far, limits: [slots("x", 1)]) }
        try await bench.enqueue("again", retries: 3)
        try await bench.fail(bench.leaseOne())
        try await bench.begin(.expedite)
        let action = try await bench.finishBulk()
        #expect((action.done, action.refused) == (8, 0))
        #expect(bench.violations == [])
        let tasks = try await bench.lease(10)
        #expect(Set(tasks.map(\.job.id)).count == 7, "one of those with the limit waits for the other")
        #expect(tasks.first { $0.job.id == "again" }?.attempt == 2)
        try await bench.finish()
    }

    @Test("a job that is ready though its date is to come, for the clock was set back, is taken from where it is")
    func clockSetBack() async throws {
        let bench = try await Bench.open(finding: WordFinder(rowsMax: 100))
        try await bench.enqueue("due", after: 1000)
        try await bench.enqueue("later", after: Self.far)
        try await bench.pass(1000)
        #expect(try await bench.places("due", "later") == [.ready, .timer])
        let again = try await bench.crash(at: bench.now + -3_600_000)
        try await again.begin(.cancel)
        let action = try await again.finishBulk()
        #expect((action.done, action.refused) == (2, 0))
        #expect(again.memory.jobRows.filter { (0x20...0x24).contains($0.key[2]) } == [])
        try await again.finish()
    }

    @Test("the timers and ready rows of very many jobs are not read one by one")
    func unread() async throws {
        let bench = try await Bench.open(finding: WordFinder(rowsMax: 1000))
        for index in 0..<100 {
            try await bench.enqueue("later \(index)", after: Self.far, group: "later")
            try await bench.enqueue("ready \(index)", group: "ready")
        }
        bench.store.set { faults in
            faults.unread = { key in key.count > 2 && (0x20...0x24).contains(key[2]) && key[2] != 0x21 }
        }
        try await bench.begin(.cancel)
        let action = try await bench.finishBulk()
        bench.store.set { $0.unread = nil }
        #expect((action.end, action.done, action.refused) == (.done, 200, 0))
        #expect(bench.memory.jobRows.filter { (0x20...0x24).contains($0.key[2]) } == [])
        try await bench.finish()
    }

    @Test("where rows were set aside, a job that stands nowhere is told from one that stands somewhere")
    func setAside() async throws {
        let bench = try await Bench.open(finding: WordFinder(rowsMax: 100))
        try await bench.enqueue("broken", after: 1000)
        try await bench.enqueue("later", after: Self.far)
        let keys = TenantKeys(Bench.tenant)
        let broken = try #require(bench.memory.jobRows.first { $0.key[2] == 0x22 }?.key)
        try await bench.memory.write([Write(key: broken, value: [0xff])])
        try await bench.memory.flush()
        let again = try await bench.crash()
        try await again.pass(1000)
        #expect(again.memory.rowsSetAside.map(\.key) == [ShardKeys.setAside(broken)])
        #expect(try await again.memory.get(keys.job(JobID("broken"))) != nil)
        try await again.begin(.cancel)
        let action = try await again.finishBulk()
        #expect((action.end, action.done, action.refused) == (.done, 2, 0))
        try await again.finish()
    }
}
