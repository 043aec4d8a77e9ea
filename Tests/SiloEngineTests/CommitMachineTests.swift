import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloEngine

/// What a machine is asked to do, one thing after another, as text: `flush`, `answer 1 2`, `pause 30`, `wait`, `end`.
private struct Script {
    var machine: CommitMachine<Int>
    var now: Int64 = 1000

    init(gap: Int64 = 0) {
        machine = CommitMachine(flushGapMilliseconds: gap)
    }

    mutating func add(_ work: Int..., wrote: Bool) -> [Int] { machine.add(work, wrote: wrote) }

    mutating func next() -> String {
        switch machine.next(at: Timestamp(now)) {
        case .answer(let work): "answer \(work.map { "\($0)" }.joined(separator: " "))"
        case .flush: "flush"
        case .pause(let milliseconds): "pause \(milliseconds)"
        case .wait: "wait"
        case .end: "end"
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct CommitMachineTests {
    @Test("a turn that wrote nothing is answered at once when nothing waits to be durable")
    func nothingUnflushed() {
        var script = Script()
        #expect(script.add(1, 2, wrote: false) == [1, 2])
        #expect(script.next() == "wait")
    }

    @Test("what was written before a flush began is answered after it; what came since waits for the next")
    func oneFlushForAll() {
        var script = Script()
        #expect(script.add(1, wrote: true) == [])
        #expect(script.add(2, wrote: false) == [], "it may have met what the first one wrote")
        #expect(script.next() == "flush")
        #expect(script.add(3, wrote: true) == [])
        #expect(script.machine.flushEnded() == [1, 2])
        #expect(script.next() == "flush")
        #expect(script.machine.flushEnded() == [3])
        #expect(script.next() == "wait")
        #expect(script.add(4, wrote: false) == [4])
    }

    @Test("who came during a flush and wrote nothing is answered after it, without another")
    func readersDuringFlush() {
        var script = Script()
        _ = script.add(1, wrote: true)
        #expect(script.next() == "flush")
        #expect(script.add(2, wrote: false) == [])
        #expect(script.machine.flushEnded() == [1])
        #expect(script.next() == "answer 2")
        #expect(script.next() == "wait")
    }

    @Test("flushes begin no sooner after each other than the gap says")
    func gap() {
        var script = Script(gap: 100)
        _ = script.add(1, wrote: true)
        #expect(script.next() == "flush", "the first one waits for nothing")
        _ = script.machine.flushEnded()
        script.now += 30
        _ = script.add(2, wrote: true)
        #expect(script.next() == "pause 70")
        _ = script.add(3, wrote: true)
        script.now += 70
        #expect(script.next() == "flush")
        #expect(script.machine.flushEnded() == [2, 3])
    }

    @Test("a machine that is stopped first flushes and answers what it has")
    func stop() {
        var script = Script()
        _ = script.add(1, wrote: true)
        script.machine.stop()
        #expect(!script.machine.isIdle)
        #expect(script.next() == "flush")
        #expect(script.machine.flushEnded() == [1])
        #expect(script.next() == "end")
    }

    @Test("after a flush that failed nobody is answered, whatever they wrote")
    func failedFlush() {
        var script = Script()
        _ = script.add(1, wrote: true)
        #expect(script.next() == "flush")
        #expect(script.machine.flushFailed() == [1])
        #expect(script.add(2, wrote: false) == [])
        #expect(script.machine.abort() == [2])
        #expect(script.machine.abort() == [])
    }

    @Test("a flush for which there was no space is tried again after a pause, and covers what came since")
    func noSpace() {
        var script = Script()
        _ = script.add(1, wrote: true)
        #expect(script.next() == "flush")
        #expect(script.add(2, wrote: true) == [])
        #expect(script.machine.flushWasFull(at: Timestamp(script.now)) == [1])
        #expect(script.next() == "pause 500")
        #expect(script.add(3, wrote: false) == [], "it may have met what is not durable")
        script.now += 500
        #expect(script.next() == "flush")
        #expect(script.machine.flushEnded() == [2, 3])
        #expect(script.next() == "wait")
    }
}

@Suite(.timeLimit(.minutes(10))) struct OwnershipTests {
    @Test("a server that does not own the shard any more answers nobody: no write, no read, no refusal, no task")
    func answersNobody() async throws {
        let owns = Flag(true)
        let memory = MemoryStore(clock: ManualClock())
        let shard = try await Shard.open(memory, clock: ManualClock(), random: SeededRandom(seed: 1), mayAnswer: { owns.value })
        let job = Enqueue(tenant: Bench.tenant, id: JobID("a"), taskGroup: "g")
        _ = try await shard.run(job)

        owns.value = false
        let gone = SiloError.unavailable("another server owns the shard now")
        #expect(try await refusal { _ = try await shard.run(job) } == gone, "it would have been refused")
        #expect(try await refusal { _ = try await shard.snapshot() } == gone)
        #expect(try await refusal { _ = try await shard.run(ListPauses()) } == gone)
        #expect(try await refusal { _ = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1)) } == gone)
        #expect(try await refusal { _ = try await shard.run(Enqueue(tenant: Bench.tenant, taskGroup: "g")) } == gone)
        try await shard.close()
    }
}

/// A value that a test changes while a shard looks at it.
private final class Flag: Sendable {
    private let state: Mutex<Bool>
    init(_ value: Bool) { state = Mutex(value) }
    var value: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
