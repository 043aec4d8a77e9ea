import SiloCore
import SiloStore
import SiloTesting
import Synchronization

@testable import SiloEngine

/// One run on a seed: a shard and the model, side by side.
final class Simulation {
    struct Mismatch: Error, CustomStringConvertible {
        let description: String
    }

    private let seed: UInt64
    private let random: SeededRandom
    private let clock = ManualClock()
    private var memory = MemoryStore()
    private var store: FaultyStore
    private var shard: Shard
    private var model: Model
    private var settings = EngineSettings()
    private var steps: [String] = []
    private var step = 0
    /// Tasks that workers were given, also such as ended since.
    private var given: [(tenant: Tenant, task: TaskID, worker: String)] = []

    /// A bug in what is written.
    private let planted: (@Sendable (Write) -> Write?)?

    init(seed: UInt64, planted: (@Sendable (Write) -> Write?)? = nil) async throws {
        self.seed = seed
        self.planted = planted
        random = SeededRandom(seed: seed)
        // Small windows, so that paging and letting go happen all the time.
        settings.windowMax = 1 + random.below(5)
        settings.pageRows = 1 + random.below(4)
        settings.windowBytesMax = (1 + random.below(12)) * 700
        settings.quantum = 1 + random.below(3)
        settings.idleQueuesMax = random.below(4)
        settings.turnJobsMax = 64
        settings.inlineJobBytesMax = random.chance(50) ? 0 : 4096
        model = Model(now: clock.now)
        store = FaultyStore(memory)
        store.set { $0.mangle = planted }
        shard = try await Shard.open(store, settings: settings, clock: clock, random: random)
    }

    func run(steps count: Int) async throws {
        for _ in 0..<count {
            step += 1
            switch random.below(100) {
            case 0..<5: try await together(fails: true)
            case 25..<35: try await together(fails: false)
            case 5..<6: try await failWhileTimePasses()
            case 6..<7: try await reopen(crash: false, note: "close")
            case 7..<24: try await pass(try advance())
            case 24: try await goOnDropping()
            default: try await perform(operation())
            }
            try await check()
        }
        try await shard.close()
    }

    // MARK: Steps

    private func perform(_ operation: Operation) async throws {
        let answer = await shard.answers([operation])[0]
        note("\(operation) -> \(answer)")
        try accept(answer, operation)
    }

    /// Does the operation in the model, which must answer the same.
    private func accept(_ answer: Answer, _ operation: Operation) throws {
        let expected = model.apply(operation, answer)
        guard answer == expected else { throw mismatch("answered \(answer), not \(expected)") }
        if case .leased(let tasks) = answer {
            let worker = switch operation {
            case .lease(_, _, let worker), .leaseOne(_, let worker): worker
            default: ""
            }
            given += tasks.map { ($0.key.tenant, $0.task, worker) }
        }
    }

    /// Goes on with a drop until it is over, unless the store or the process fails in between.
    private func goOnDropping() async throws {
        guard let tenant = model.dropping.min(by: { $0.name < $1.name }) else { return }
        for _ in 0..<Self.dropStepsMax {
            guard model.dropping.contains(tenant) else { return }
            try await perform(.dropStep(tenant))
            if random.chance(3) {
                try await reopen(crash: true, note: "crash while \(tenant) is dropped")
                if random.chance(50) { return }
            }
        }
        guard !model.dropping.contains(tenant) else { throw mismatch("the drop of \(tenant) has no end") }
    }

    /// Each step comes to the end of one range at least.
    private static let dropStepsMax = TenantKeys(Tenant("")).everything.count + 1

    private func advance() throws -> Int64 {
        switch random.below(10) {
        case 0: 1 << Int64(20 + random.below(20))
        case 1..<4: 10_000
        default: Int64(1 + random.below(4000))
        }
    }

    private func pass(_ milliseconds: Int64) async throws {
        note("\(milliseconds) ms pass")
        clock.advance(milliseconds: milliseconds)
        model.now = clock.now
        guard await shard.look() else { throw mismatch("the shard does not answer") }
        model.expire()
    }

    /// Several operations at once, in few batches. Around them the store may fail, or the process die: then at most the last
    /// one is a lease, so that it can be told what an unanswered lease chose.
    private func together(fails: Bool) async throws {
        var operations = (0..<1 + random.below(fails ? 5 : 10)).map { _ in operation(mayLease: !fails) }
        if random.chance(40) { operations.append(operation(mayLease: true)) }
        // Those that keep or end leases are taken before new work.
        operations.sort { $0.lane < $1.lane }
        let dies = fails && random.chance(30)
        let calls = fails && !dies ? random.below(12) : nil
        note(dies ? "the process dies during:" : "the store fails after \(calls.map { "\($0)" } ?? "no") calls, during:")

        // The loop is held up until all are in its mailbox, so that equal seeds make equal batches.
        store.set { $0.holdReads = true }
        shard.submit(Cancel(tenant: Tenant("nobody"), id: JobID("nothing"))) { _ in }
        await until { store.heldCount > 0 }
        let answers = Mutex<[Answer?]>(Array(repeating: nil, count: operations.count))
        let left = Mutex(operations.count)
        for (index, operation) in operations.enumerated() {
            shard.submit(operation) { answer in
                answers.withLock { $0[index] = answer }
                left.withLock { $0 -= 1 }
            }
        }
        store.set { faults in
            faults.holdReads = false
            faults.holdFlushes = dies
            faults.callsLeft = calls
        }
        await until { left.withLock { $0 } == 0 || (dies && store.heldCount > 0) }
        let next = dies ? memory.crash() : nil
        store.set { $0.holdFlushes = false }
        await until { left.withLock { $0 } == 0 }
        if dies { try? await shard.close() }
        let result = answers.withLock { $0.compactMap { $0 } }
        for (operation, answer) in zip(operations, result) { note("  \(operation) -> \(answer)") }

        let known = result.prefix { !$0.isUnknown }
        guard result.dropFirst(known.count).allSatisfy(\.isUnknown) else {
            throw mismatch("a later batch was answered, an earlier one not")
        }
        for (operation, answer) in zip(operations, known) { try accept(answer, operation) }
        store.set { $0.callsLeft = nil }
        if next == nil, known.count == operations.count { return }

        var candidates = [model]
        for operation in operations[known.count...] {
            var next = candidates[candidates.count - 1]
            if case .lease = operation { candidates.append(next) } else {
                _ = next.apply(operation, nil)
                candidates.append(next)
            }
        }
        try await reopen(into: next, crash: random.chance(50), note: "reopen", candidates, last: operations.last)
    }

    private func failWhileTimePasses() async throws {
        let milliseconds = try advance()
        let calls = random.below(4)
        note("\(milliseconds) ms pass; the store fails after \(calls) calls")
        store.set { $0.callsLeft = calls }
        clock.advance(milliseconds: milliseconds)
        model.now = clock.now
        let answered = await shard.look()
        store.set { $0.callsLeft = nil }
        var after = model
        after.expire()
        if answered, await shard.look() {
            model = after
        } else {
            try await reopen(into: nil, crash: random.chance(50), note: "reopen", [model, after])
        }
    }

    private func reopen(crash: Bool, note text: String) async throws {
        try await shard.close()
        try await reopen(into: memory.crash(), crash: true, note: text, [model])
    }

    /// Opens what is left: in the store `next`, or what the failed one took, durable or not. One of the candidates must fit.
    private func reopen(into next: MemoryStore?, crash: Bool, note text: String, _ candidates: [Model], last: Operation? = nil)
        async throws
    {
        _ = await shard.untilStopped()
        if let next { memory = next } else if crash { memory = memory.crash() }
        note("\(text)\(next == nil && !crash ? ", with what was not durable" : "")")
        var reasons: [[String]] = []
        for (index, var candidate) in candidates.enumerated() {
            if index == candidates.count - 1, let last { try await candidate.adopt(last, from: memory) }
            let reason = try await candidate.differences(from: memory)
            reasons.append(reason)
            guard reason.isEmpty else { continue }
            try await candidate.learnTasks(from: memory)
            candidate.reopen()
            model = candidate
            store = FaultyStore(memory)
            store.set { $0.mangle = planted }
            shard = try await Shard.open(store, settings: settings, clock: clock, random: random)
            guard await shard.look() else { throw mismatch("the reopened shard does not answer") }
            return
        }
        throw mismatch("no history fits what is stored: \(reasons)")
    }

    // MARK: Checks

    private func check() async throws {
        let differences = try await model.differences(from: memory)
        guard differences.isEmpty else { throw mismatch(differences.joined(separator: "\n")) }
        let counts = shard.counts
        let expected = (Int64(model.jobs.count), Int64(model.completed), model.running.count)
        guard (counts.total, counts.completed, counts.leases) == expected else {
            throw mismatch("counts \(counts), not \(expected)")
        }
    }

    private func note(_ text: String) { steps.append("\(step): \(text)") }

    private func mismatch(_ text: String) -> Mismatch {
        Mismatch(description: "seed \(seed), step \(step): \(text)\nlast steps:\n\(steps.suffix(25).joined(separator: "\n"))")
    }

    private func until(_ condition: () -> Bool) async {
        while !condition() { await Task.yield() }
    }

    // MARK: Chance

    private func operation(mayLease: Bool = true) -> Operation {
        let group = random.chance(75) ? "g" : "h"
        let known = given.isEmpty ? nil : given[given.count - 1 - random.below(min(given.count, 12))]
        switch random.below(100) {
        case 0..<24: return .enqueue(newJob(group))
        case 24..<28: return .enqueueAll((0..<1 + random.below(4)).map { _ in newJob(group) })
        case 28..<48 where mayLease: return .lease(group: group, count: random.below(5), worker: "worker \(step)")
        case 48..<66:
            guard let known, !random.chance(5) else { return .report(key().tenant, TaskID(.random(from: random)), .success) }
            let tenant = random.chance(5) ? key().tenant : known.tenant
            return .report(tenant, known.task, random.chance(50) ? .failure : Operation.Kind.allCases[random.below(3)])
        case 66..<72:
            guard let known else { return .heartbeat(key().tenant, TaskID(.random(from: random)), worker: "nobody") }
            return .heartbeat(
                random.chance(5) ? key().tenant : known.tenant, known.task, worker: random.chance(10) ? "thief" : known.worker)
        case 72..<76: return .giveBack(given.suffix(random.below(4)).map(\.task))
        case 76..<83: return .cancel(key())
        case 83..<89: return .restart(key())
        case 89..<93: return .expedite(key())
        case 93..<94: return .drop(key().tenant)
        case 94..<97: return sweep()
        case 97..<98 where mayLease: return .leaseOne(key(), worker: "worker \(step)")
        default: return .delete(key())
        }
    }

    /// Of something that has finished, if anything has.
    private func sweep() -> Operation {
        let finished = model.jobs.compactMap { key, job -> (tenant: Tenant, state: StorageV1.JobState, at: Timestamp)? in
            guard case .finished(let state, _, let at, _, _, _) = job.place else { return nil }
            return (key.tenant, state, at)
        }.sorted { ($0.at, $0.tenant.name, $0.state.rawValue) < ($1.at, $1.tenant.name, $1.state.rawValue) }
        guard !random.chance(40), !finished.isEmpty else {
            return .sweepKept(key().tenant, by: clock.now + Int64(random.below(10_000)))
        }
        let one = finished[random.below(finished.count)]
        return .sweep(one.tenant, one.state, FinishedPeriod(of: one.at))
    }

    private func key() -> JobKey {
        JobKey(tenant: Tenant("tenant \(random.below(3))"), id: JobID("job \(random.below(6))"))
    }

    private func newJob(_ group: String) -> NewJob {
        let start: Int64 = switch random.below(10) {
        case 0..<6: 0
        case 6: clock.now.milliseconds - Int64(random.below(100_000))
        case 7: .max
        default: clock.now.milliseconds + Int64(random.below(20_000))
        }
        return NewJob(
            key: key(), group: group, priority: UInt32([0, 50, 50, 99][random.below(4)]), startAtMs: start,
            retries: random.chance(30) ? nil : UInt32(random.below(4)), interval: Int64([0, 1, 500, 40_000][random.below(4)]),
            retain: [0, 0, 5000, 1 << 40][random.below(4)]
        )
    }
}
