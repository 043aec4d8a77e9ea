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
    }
    private let state = Mutex(State())
    var current: State { state.withLock { $0 } }

    func turnBegan() { state.withLock { $0.turns += 1 } }
    func turnEnded(_ batch: BatchSize) {
        state.withLock { state in
            state.rows += batch.rows
            state.bytes += batch.bytes
        }
    }
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
