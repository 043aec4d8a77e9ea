import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloEngine

/// Writes down what a shard tells.
private final class Notes: EngineEvents {
    struct State {
        var turns = 0
        var rows = 0
        var bytes = 0
        var flushes = 0
        var underWay = 0
        var branches: [Branch: Int] = [:]
        var healed: [String] = []
        var tallies: [TurnTally] = []
        var answered = 0
        var polled: [TaskGroup] = []
    }
    private let state = Mutex(State())
    var current: State { state.withLock { $0 } }

    func polled(_ group: TaskGroup) { state.withLock { $0.polled.append(group) } }
    func turnBegan() { state.withLock { $0.turns += 1 } }
    func turnEnded(_ batch: BatchSize) {
        state.withLock { state in
            state.rows += batch.rows
            state.bytes += batch.bytes
        }
    }
    func turnRan(_ tally: TurnTally) { state.withLock { $0.tallies.append(tally) } }
    func answered() { state.withLock { $0.answered += 1 } }
    func flushBegan() { state.withLock { $0.underWay += 1 } }
    func flushEnded() {
        state.withLock { state in
            state.underWay -= 1
            state.flushes += 1
        }
    }
    func reached(_ branch: Branch, count: Int) { state.withLock { $0.branches[branch, default: 0] += count } }
    func healed(_ fault: HealedFault, count: Int, isFirst: Bool) {
        state.withLock { $0.healed.append("\(fault) \(count)\(isFirst ? " first" : "")") }
    }
}

@Suite(.timeLimit(.minutes(10))) struct EventTests {
    @Test("a shard tells of its turns, batches and flushes, and of rare branches, in time for the answer")
    func told() async throws {
        let notes = Notes()
        let shard = try await Shard.open(
            MemoryStore(clock: ManualClock()), clock: ManualClock(), random: SeededRandom(seed: 1), events: notes)
        let job = Enqueue(tenant: Bench.tenant, id: JobID("a"), payload: Bytes(repeating: 7, count: 1000), taskGroup: "g")
        _ = try await shard.run(job)
        let first = notes.current
        #expect(first.turns >= 1)
        #expect(first.rows == 5, "the job, its ready row, the directory, the shard's own row and the set of slices")
        #expect(first.bytes > 2000)
        #expect(first.flushes == 1)
        #expect(first.underWay == 0)

        _ = try await refusal { _ = try await shard.run(job) }
        _ = try await refusal { _ = try await shard.run(EnqueueAll([job, job])) }
        #expect(notes.current.branches == [.duplicateID: 2])
        #expect(notes.current.rows == 5, "a refused command writes nothing")
        #expect(notes.current.healed == [])
        try await shard.close()
    }

    @Test("a turn tells what its commands came to")
    func tallies() async throws {
        let notes = Notes()
        let clock = ManualClock()
        let shard = try await Shard.open(
            MemoryStore(clock: clock), clock: clock, random: SeededRandom(seed: 1), events: notes)
        for _ in 0..<3 { _ = try await shard.run(Enqueue(tenant: Bench.tenant, retryPolicy: policy(1), taskGroup: "g")) }
        clock.advance(milliseconds: 700)
        let tasks = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 2)).tasks
        try await shard.run(ReportOutcome(tenant: Bench.tenant, task: tasks[0].id, outcome: .success(result: [])))
        try await shard.run(ReportOutcome(tenant: Bench.tenant, task: tasks[1].id, outcome: .failure(code: "X", data: [])))
        let told = notes.current.tallies
        #expect(told.reduce(0) { $0 + $1.enqueued } == 3)
        #expect(told.reduce(0) { $0 + $1.succeeded } == 1)
        #expect(told.reduce(0) { $0 + $1.failed } == 1, "also when it is retried")
        let groups = told.flatMap(\.groups)
        #expect(groups.allSatisfy { $0.group == "g" } && groups.reduce(0) { $0 + $1.polls } == 1)
        #expect(groups.flatMap(\.runs) == [0, 0], "how long each ran whose outcome was reported")
        #expect(groups.flatMap(\.leases).map(\.sinceStored) == [700, 700])
        #expect(groups.flatMap(\.leases).allSatisfy { !$0.isRetry && $0.sinceStart == 700 })
        try await shard.close()
    }

    @Test("workers that are not sent on are told of, those that shall get nothing are not")
    func polls() async throws {
        let notes = Notes()
        let shard = try await Shard.open(MemoryStore(clock: ManualClock()), clock: ManualClock(), events: notes)
        shard.notePoll("g")
        shard.notePoll(Lease.quiet)
        _ = try await shard.lease(Lease(worker: "w", group: Lease.quiet.text, taskCountMax: 1))
        #expect(notes.current.polled == ["g"])
        #expect(notes.current.tallies.flatMap(\.groups).isEmpty)
        try await shard.close()
    }

    @Test("what is mended is told each time, with whether it is the first of its kind")
    func mended() {
        let notes = Notes()
        let healed = Healed()
        var count: UInt64 = 1
        healed.countDown(&count, by: 2)
        healed.countDown(&count)
        healed.tell(notes)
        healed.tell(notes)
        healed.countDown(&count)
        healed.note(.ghostRelease)
        healed.tell(notes)
        #expect(notes.current.healed == ["queueCount 2 first", "queueCount 1", "ghostRelease 1 first"])
        #expect(healed.counts == [.queueCount: 3, .ghostRelease: 1])
    }
}
