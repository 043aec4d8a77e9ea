import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

/// A place in a job's life, and how to bring the job "a" there. The job has a retry left when it has a policy.
enum Stage: CaseIterable, Sendable {
    case missing, ready, future, retry, running, runningCancelled, succeeded, failed, cancelled, cancelledInBackoff
    case cancelledByWorker, cancelledByWorkerMarked, failedAfterCancel, succeededAfterCancel, deleted, restarted

    func reach(_ bench: Bench) async throws {
        let retries: UInt32? = self == .failed ? nil : 3
        switch self {
        case .missing: return
        case .future: try await bench.enqueue("a", after: 60_000, retries: retries)
        default: try await bench.enqueue("a", retries: retries)
        }
        switch self {
        case .missing, .ready, .future: break
        case .retry: try await bench.fail(bench.leaseOne())
        case .running: _ = try await bench.leaseOne()
        case .runningCancelled:
            _ = try await bench.leaseOne()
            try await bench.cancel("a")
        case .succeeded, .deleted: try await bench.succeed(bench.leaseOne())
        case .failed: try await bench.fail(bench.leaseOne())
        case .cancelled, .restarted: try await bench.cancel("a")
        case .cancelledInBackoff:
            try await bench.fail(bench.leaseOne())
            try await bench.cancel("a")
        case .cancelledByWorker: try await bench.report(bench.leaseOne(), .cancelled)
        case .cancelledByWorkerMarked:
            try await bench.report(bench.leaseOne(), .cancelled)
            try await bench.cancel("a")
        case .failedAfterCancel:
            let task = try await bench.leaseOne()
            try await bench.cancel("a")
            try await bench.fail(task)
        case .succeededAfterCancel:
            let task = try await bench.leaseOne()
            try await bench.cancel("a")
            try await bench.succeed(task)
        }
        if self == .deleted { try await bench.delete("a") }
        if self == .restarted { try await bench.restart("a") }
    }

    /// The job's status there; nil when there is no job.
    var state: JobStatusName? {
        switch self {
        case .missing, .deleted: nil
        case .ready, .future, .retry, .restarted: .scheduled
        case .running, .runningCancelled: .running
        case .succeeded, .succeededAfterCancel: .succeeded
        case .failed: .failed
        case .cancelled, .cancelledInBackoff, .cancelledByWorker, .cancelledByWorkerMarked, .failedAfterCancel: .cancelled
        }
    }

    /// Cancellation was asked for.
    var isMarked: Bool {
        switch self {
        case .runningCancelled, .cancelled, .cancelledInBackoff, .cancelledByWorkerMarked, .failedAfterCancel, .succeededAfterCancel: true
        default: false
        }
    }
}

/// Every operation at every stage of a job's life: what it leaves, or how it is refused.
@Suite struct StateTests {
    /// Expects `operation` at `stage` to be refused with `refused`, changing nothing, or to leave the job in `after`.
    private func check(
        _ stage: Stage, _ refused: SiloError?, leaves after: JobStatusName?, _ location: SourceLocation = #_sourceLocation,
        _ operation: (Bench) async throws -> Void
    ) async throws {
        let bench = try await Bench.open()
        try await stage.reach(bench)
        #expect(try await bench.state("a") == stage.state, sourceLocation: location)
        #expect((try await bench.job("a")?.cancelledAt != nil) == stage.isMarked, sourceLocation: location)
        try await bench.poke()
        let before = bench.memory.rows
        #expect(try await refusal { try await operation(bench) } == refused, sourceLocation: location)
        if refused != nil { #expect(bench.memory.rows == before, "a refusal changes nothing", sourceLocation: location) }
        #expect(try await bench.state("a") == after, sourceLocation: location)
        try await bench.finish(location)
    }

    @Test("J6 J8 J10: cancel", arguments: Stage.allCases)
    func cancel(stage: Stage) async throws {
        let refused: SiloError? =
            switch stage {
            case .missing, .deleted: .jobNotFound
            case _ where stage.isMarked: .jobAlreadyCancelled
            case .succeeded, .failed: .jobAlreadyTerminal
            default: nil
            }
        let after: JobStatusName? = stage == .running ? .running : refused == nil ? .cancelled : stage.state
        try await check(stage, refused, leaves: after) { bench in
            try await bench.cancel("a")
            #expect(try await bench.job("a")?.cancelledAt == bench.now)
            bench.clock.advance(milliseconds: 120_000)
            if after == .cancelled { #expect(try await bench.drain(1) == [], "J35") }
        }
    }

    @Test("J6 J10 J11: restart", arguments: Stage.allCases)
    func restart(stage: Stage) async throws {
        func refuse(_ reason: String) -> SiloError { .jobRefused(.restart, JobID("a"), reason: reason, stage.state!) }
        let refused: SiloError? =
            switch stage {
            case .missing, .deleted: .jobNotFound
            case .succeeded, .succeededAfterCancel: refuse("job already succeeded")
            case .ready, .future, .retry, .running, .runningCancelled, .restarted: refuse("job is still in progress")
            default: nil
            }
        try await check(stage, refused, leaves: refused == nil ? .scheduled : stage.state) { bench in
            let ended = try await bench.attempts("a")
            try await bench.restart("a")
            #expect(try await bench.job("a")?.cancelledAt == nil, "J10: the mark is gone")
            #expect(try await bench.attempts("a") == ended, "J5")
            let task = try await bench.leaseJob("a")
            #expect(task.attempt == UInt32(ended.count) + 1, "J11 J26")
            try await bench.shard.run(Release([task.id]))
        }
    }

    @Test("J12 J13: expedite", arguments: Stage.allCases)
    func expedite(stage: Stage) async throws {
        func refuse(_ reason: String) -> SiloError { .jobRefused(.expedite, JobID("a"), reason: reason, stage.state!) }
        let refused: SiloError? =
            switch stage {
            case .missing, .deleted: .jobNotFound
            case .succeeded, .failed, .succeededAfterCancel: refuse("job is already in terminal state")
            case _ where stage.isMarked: refuse("job is cancelled")
            case .running: refuse("job is currently running")
            case .cancelledByWorker: refuse("job has no pending task to expedite")
            case .ready, .restarted: refuse("task is already ready to run (not future-scheduled)")
            default: nil
            }
        try await check(stage, refused, leaves: stage.state) { bench in
            let attempt = try await bench.job("a")?.attempt
            try await bench.expedite("a")
            #expect(try await bench.job("a")?.attempt == attempt)
            #expect(try await bench.nextStart("a") == bench.now)
            let again = try await refusal { try await bench.expedite("a") }
            #expect(again == .jobRefused(.expedite, JobID("a"), reason: "task is already ready to run (not future-scheduled)", .scheduled))
            let task = try await bench.leaseOne()
            #expect(task.attempt == attempt)
            try await bench.shard.run(Release([task.id]))
        }
    }

    @Test("J37: delete", arguments: Stage.allCases)
    func delete(stage: Stage) async throws {
        let isFinished = ![.scheduled, .running].contains(stage.state)
        try await check(stage, isFinished ? nil : .jobInProgress(JobID("a")), leaves: isFinished ? nil : stage.state) { bench in
            try await bench.delete("a")
            try await bench.delete("a")
            #expect(bench.memory.rows.map(\.key) == [ShardKeys.info], "J29 J30: no row of it is left")
            try await bench.enqueue("a")
            let task = try await bench.leaseOne()
            #expect(task.attempt == 1, "the id begins anew")
            try await bench.succeed(task)
            try await bench.delete("a")
        }
    }

    @Test("lease-one", arguments: Stage.allCases)
    func leaseJob(stage: Stage) async throws {
        func refuse(_ reason: String) -> SiloError { .jobRefused(.lease, JobID("a"), reason: reason, stage.state!) }
        let refused: SiloError? =
            switch stage {
            case .missing, .deleted: .jobNotFound
            case .running, .runningCancelled: refuse("job is currently running")
            case .succeeded, .failed, .succeededAfterCancel: refuse("job is already in terminal state")
            case .cancelledByWorker: refuse("job has no pending task")
            case _ where stage.isMarked: refuse("job is cancelled")
            default: nil
            }
        try await check(stage, refused, leaves: refused == nil ? .running : stage.state) { bench in
            let task = try await bench.leaseJob("a", worker: "zoe")
            #expect(task.attempt == task.relativeAttempt)
            try await bench.heartbeat(task, worker: "zoe")
            #expect(try await bench.drain(1) == [], "J23: nobody else gets it")
        }
    }

    @Test("enqueue under a taken id", arguments: Stage.allCases)
    func enqueue(stage: Stage) async throws {
        let isFree = stage.state == nil
        try await check(stage, isFree ? nil : .jobAlreadyExists(JobID("a")), leaves: isFree ? .scheduled : stage.state) { bench in
            try await bench.enqueue("a")
        }
    }

    @Test("cancelled jobs: one that waited keeps when it would have run, one that ran does not")
    func cancelKeepsStart() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 5000)
        let start = bench.now + 5000
        try await bench.pass(10)
        try await bench.cancel("a")
        let job = try #require(try await bench.job("a"))
        #expect((job.nextStart(at: bench.clock.moment), job.attempt, job.changedAt) == (start, 1, bench.now))
        try await bench.enqueue("b")
        let task = try await bench.leaseOne()
        try await bench.cancel("b")
        try await bench.succeed(task)
        #expect(try await bench.nextStart("b") == nil)
        #expect(try await bench.state("b") == .succeeded, "success stands, cancelled or not")
        try await bench.finish()
    }

    @Test("J11: restart waits for a start that is still to come")
    func restartKeepsStart() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 5000)
        try await bench.cancel("a")
        try await bench.restart("a")
        #expect(try await bench.drain(1) == [])
        try await bench.pass(5000)
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("R5: cancel and lease of one job at once: never cancelled and delivered, marked if delivered")
    func cancelRace() async throws {
        for _ in 0..<20 {
            let bench = try await Bench.open()
            try await bench.enqueue("a")
            async let leased = bench.lease(1)
            async let cancelled: Void = bench.cancel("a")
            let task = try await leased.first
            try await cancelled
            #expect(try await bench.state("a") == (task == nil ? .cancelled : .running))
            if let task { #expect(try await bench.heartbeat(task) == bench.now) }
            try await bench.finish()
        }
    }
}
