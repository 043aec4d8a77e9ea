import SiloClient
import SiloCore
import SiloTesting
import Synchronization

/// Workers that do as they should, of the client library: some for each group, with handlers that take their time, fail, and
/// find new maxima for floating limits.
final class Workers: Sendable {
    private let world: World
    private let workers: [Worker]

    init(_ world: World) {
        self.world = world
        let count = world.scenario.workers
        workers = (0..<count).map { index in
            let client = world.client(caller: "worker \(index)")
            let random = SeededRandom(seed: world.scenario.seed ^ UInt64(index + 1) &* 0xabcdef)
            var options = WorkerOptions()
            options.id = "worker \(index)"
            options.concurrency = 1 + random.below(3)
            options.wait = .seconds(10)
            options.onError = { [world] error in world.trace.note("worker \(index): \(error)") }
            return Worker(client, group: index % 2 == 0 ? "g" : "h", options) { context in
                try await Self.handle(context, world, random, "worker \(index)")
            } refresh: { context in
                try await Self.refresh(context, world, random)
            }
        }
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            for worker in workers { group.addTask { await worker.run() } }
        }
    }

    func stop() {
        for worker in workers { worker.stop() }
    }

    private static func handle(_ context: TaskContext, _ world: World, _ random: SeededRandom, _ name: String) async throws
        -> TaskOutcome
    {
        let job = Book.JobName(tenant: context.tenant ?? "", id: context.jobID)
        world.trace.note("\(name) has \(job) attempt \(context.attempt)")
        // The answer was on its way for no longer than a message may take.
        world.book.given(job, attempt: context.attempt, task: context.taskID, asked: world.clock.now + -3500)
        defer { world.book.sendsOutcome(context.taskID) }
        // Clocks that differ by a tenth disagree on how long a lease is.
        if !world.scenario.has(.clocks) { world.book.starts(job, task: context.taskID) { context.isCancelled } }
        // Now and then one takes longer than a lease: it must be told when its heartbeats find nobody.
        let work = random.chance(5) ? 5000...40_000 : world.scenario.work
        try? await world.clock.sleep(milliseconds: random.number(in: work))
        switch random.below(10) {
        case 0..<7: return .succeeded(Payload(bytes: [1]))
        case 7: throw SimulatedFailure()
        case 8: return .failed(code: "BROKEN")
        default: return random.chance(80) ? .succeeded(Payload(bytes: [])) : .cancelled
        }
    }

    private static func refresh(_ context: RefreshContext, _ world: World, _ random: SeededRandom) async throws -> UInt32 {
        try? await world.clock.sleep(milliseconds: Int64(random.below(random.chance(10) ? 14_000 : 500)))
        if random.chance(20) { throw SimulatedFailure() }
        return UInt32(1 + random.below(3))
    }
}

struct SimulatedFailure: Error {}
