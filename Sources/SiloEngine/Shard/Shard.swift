import Protobuf
public import SiloCore
public import SiloStore
import Synchronization

/// One shard: a single-writer database of jobs and the loop that serves it.
///
/// Everything written is answered once it is durable. When the store fails, the shard stops: every request gets
/// `.unavailable`, and whoever opened it opens it anew.
public final class Shard: Sendable {
    private let mailbox: Mailbox
    private let store: any KeyValueStore
    private let clock: any Clock
    private let gauge: ShardGauge
    private let polls: Polls
    let measured: MeasuredGroups
    private let events: any EngineEvents
    private let committer: Committer
    private let running: Task<StoreError?, Never>
    /// For those who list failures.
    package let failureBounds: FailureBounds

    /// When the database was made.
    public let createdAt: Timestamp

    private init(
        mailbox: Mailbox, store: any KeyValueStore, clock: any Clock, gauge: ShardGauge, polls: Polls, measured: MeasuredGroups,
        events: any EngineEvents,
        committer: Committer, createdAt: Timestamp, failureBounds: FailureBounds, running: Task<StoreError?, Never>
    ) {
        self.mailbox = mailbox
        self.store = store
        self.clock = clock
        self.gauge = gauge
        self.polls = polls
        self.measured = measured
        self.events = events
        self.committer = committer
        self.createdAt = createdAt
        self.failureBounds = failureBounds
        self.running = running
    }

    /// Opens a shard over its database and begins to serve. The shard owns the store from now on.
    /// - Parameters:
    ///   - executor: where its tasks run; nil: Swift's shared pool.
    ///   - prompt: where its loop runs, and what answers; nil: where the others do.
    ///   - rateLimiter: is asked instead of the shard's own buckets.
    ///   - budgets: memory that it shares with other shards; nil: it has its own, as large as the settings say.
    ///   - events: is told what the shard does.
    ///   - mayAnswer: whether this process is still the shard's owner; asked before every answer, which fails otherwise. It must
    ///     not wait.
    ///   - dates: by which finished jobs go; nil: the clock is believed as it is now.
    ///   - finder: finds the jobs of bulk actions; nil: they do not go on.
    ///   - onBulkEnd: is told of each bulk action that came to its end, but for those that a caller stopped.
    ///   - onAudit: is told what each audit of the limits found; see `EngineSettings.auditMilliseconds`.
    public static func open(
        _ store: any KeyValueStore, settings: EngineSettings = EngineSettings(),
        clock: any Clock = SystemClock(), random: any RandomSource = SystemRandom(), executor: (any TaskExecutor)? = nil,
        prompt: PromptExecutor? = nil, rateLimiter: (any RateLimiter)? = nil, budgets: MemoryBudgets? = nil,
        dates: RetentionClock? = nil, finder: (any JobFinder)? = nil, events: any EngineEvents = NoEvents(),
        mayAnswer: @escaping @Sendable () -> Bool = { true },
        onBulkEnd: @escaping @Sendable (StorageV1.BulkAction) -> Void = { _ in },
        onAudit: @escaping @Sendable (HolderAudit.Report) -> Void = { _ in }
    ) async throws(StoreError) -> Shard {
        let settings = settings.asking(rateLimiter)
        let budgets = budgets ?? MemoryBudgets(settings)
        let dates = dates ?? RetentionClock(clock)
        let info = try await ShardMemory.info(of: store, now: clock.now)
        let clock = ContinuedClock(clock, after: info)
        nonisolated(unsafe) let memory = try await ShardMemory.recover(
            from: store, info, settings: settings, windows: budgets.windows, measured: events.measuredGroups, at: clock.moment
        )
        let mailbox = Mailbox(
            clock: clock, countMax: settings.unansweredMax, budget: budgets.inHand, renewalBytesMax: settings.renewalBytesMax
        )
        let gauge = ShardGauge()
        gauge.settings = settings.changeable
        let retained = RetainedBoard()
        let polls = memory.polls
        let measured = memory.levels.measured
        let failureBounds = memory.failureBounds
        gauge.update(from: memory, at: clock.steady)
        let committer = Committer(
            store: store, mailbox: mailbox, clock: clock, flushGapMilliseconds: settings.flushGapMilliseconds, events: events,
            mayAnswer: mayAnswer
        )
        // Ends when the shard is closed or its store fails; `close` and `untilStopped` await it.
        // `memory` belongs to the loop alone from here on.
        let running = Task(on: executor) { () -> StoreError? in
            async let flushing: StoreError? = {
                do throws(StoreError) {
                    try await withTaskExecutorPreference(prompt) { () throws(StoreError) in try await committer.run() }
                    return nil
                } catch {
                    mailbox.stop(SiloError(stopped: error))
                    return error
                }
            }()
            // Ends with the loop, whose task cancels it.
            async let _: Void = {
                guard settings.auditMilliseconds != nil else { return }
                let audit = HolderAudit(store: store, clock: clock, pauseMilliseconds: settings.auditPauseMilliseconds)
                while await Self.pause(beforeAudit: clock, gauge) {
                    guard let report = try? await audit.run() else { continue }
                    gauge.audited(report)
                    onAudit(report)
                }
            }()
            async let _: Void = {
                guard let interval = settings.housekeepingMilliseconds else { return }
                await Housekeeper(
                    store: store, clock: clock, mailbox: mailbox, board: retained, gauge: gauge, dates: dates,
                    settings: settings
                ).run(every: interval)
            }()
            async let _: Void = {
                guard let finder else { return }
                await BulkRunner(
                    store: store, clock: clock, mailbox: mailbox, gauge: gauge, finder: finder, onEnd: onBulkEnd
                ).run()
            }()
            var failure: StoreError?
            do throws(StoreError) {
                let loop = ShardLoop(
                    memory: memory, store: store, mailbox: mailbox, committer: committer,
                    clock: clock, random: random, executor: executor, gauge: gauge, rateLimiter: rateLimiter,
                    retained: retained, events: events
                )
                try await withTaskExecutorPreference(prompt) { () throws(StoreError) in try await loop.run() }
                committer.stop()
            } catch {
                failure = error
                mailbox.stop(SiloError(stopped: error))
                committer.abort(error)
            }
            let flushFailure = await flushing
            if let error = failure ?? flushFailure {
                committer.abort(error)
                mailbox.fail(mailbox.takeAll(), SiloError(stopped: error))
            }
            return failure ?? flushFailure
        }
        return Shard(
            mailbox: mailbox, store: store, clock: clock, gauge: gauge, polls: polls, measured: measured, events: events,
            committer: committer, createdAt: Timestamp(info.createdAtMs), failureBounds: failureBounds, running: running
        )
    }

    /// How soon an audit interval that was changed is noticed, in milliseconds.
    private static let auditLook: Int64 = 5000

    /// Returns when the next audit is due, by the interval that is in force then; false: the shard ends.
    private static func pause(beforeAudit clock: any Clock, _ gauge: ShardGauge) async -> Bool {
        let begun = clock.steady
        while true {
            let left = gauge.settings.auditMilliseconds.map { begun + $0 - clock.steady } ?? auditLook
            guard left > 0 else { return true }
            guard (try? await clock.sleep(milliseconds: min(left, auditLook))) != nil else { return false }
        }
    }

    /// Hands a command to the loop. `completion` runs once, on any thread, when what the command did is durable, or with
    /// why it was refused.
    package func submit<C: Command>(
        _ command: C, for context: RequestContext = .server, completion: @escaping @Sendable (Result<C.Answer, SiloError>) -> Void
    ) {
        mailbox.post(PendingCommand(command, context, completion))
    }

    /// Hands several commands to the loop, which may spread them over several turns. Each is done or refused on its own.
    package func submit<C: Command>(
        _ each: Each<C>, for context: RequestContext = .server,
        completion: @escaping @Sendable (Result<[Result<C.Answer, SiloError>], SiloError>) -> Void
    ) {
        mailbox.post(PendingEach(each, context, completion))
    }

    /// As `submit`, for callers that wait.
    package func run<C: Command>(_ each: Each<C>) async throws(SiloError) -> [Result<C.Answer, SiloError>] {
        let result = await withCheckedContinuation { continuation in
            submit(each) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// As `submit`, for callers that wait.
    package func run<C: Command>(_ command: C, for context: RequestContext = .server) async throws(SiloError) -> C.Answer {
        let result = await withCheckedContinuation { continuation in
            submit(command, for: context) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Asks what takes many turns to find out.
    package func submit<W: Walk>(
        _ walk: W, for context: RequestContext = .server, completion: @escaping @Sendable (Result<W.Answer, SiloError>) -> Void
    ) {
        mailbox.post(PendingWalk(walk, context, completion))
    }

    /// As `submit`, for callers that wait.
    package func run<W: Walk>(_ walk: W, for context: RequestContext = .server) async throws(SiloError) -> W.Answer {
        let result = await withCheckedContinuation { continuation in
            submit(walk, for: context) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Leases ready tasks for a worker, waiting up to `waitMilliseconds` for the first. The answer may be empty.
    @discardableResult
    public func lease(
        _ lease: Lease, for context: RequestContext = .server, waitMilliseconds: Int64 = 0,
        completion: @escaping @Sendable (Result<Leased, SiloError>) -> Void
    ) -> PendingLease {
        let deadline = waitMilliseconds > 0 ? clock.steady + waitMilliseconds : nil
        let pending = PendingLease(
            lease, context, deadline: deadline,
            abandoned: { [mailbox] pending, wasWaiting in
                // One that the loop has not seen yet keeps its place in the mailbox until then: it is there.
                guard wasWaiting else { return }
                mailbox.answered([pending])
                mailbox.noteAbandoned()
            },
            completion
        )
        mailbox.post(pending)
        return pending
    }

    /// Whether a worker of the group would be given something; true in time for whoever heard that a job was stored.
    public func hasWork(for group: TaskGroup) -> Bool { gauge.hasWork(for: group) }

    /// A worker would have taken work of the group, and was not sent here because there is none.
    public func notePoll(_ group: TaskGroup) {
        guard group != Lease.quiet else { return }
        polls.note(group, tasks: 0, at: clock.steady)
        measured.asked(for: group, at: clock.steady)
        events.polled(group)
    }

    /// As `lease`, for callers that wait.
    public func lease(_ lease: Lease, waitMilliseconds: Int64 = 0) async throws(SiloError) -> Leased {
        let result = await withCheckedContinuation { continuation in
            _ = self.lease(lease, waitMilliseconds: waitMilliseconds) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Answers every worker that waits, with no tasks: before a server stops.
    public func dismissWaiters() { mailbox.post(DismissWaiters()) }

    /// The wall clock, and the shard's steady time, which is its own.
    public var moment: Moment { clock.moment }

    public var counts: ShardCounts {
        var counts = gauge.current
        // The loop hears in its next turn of those who went away.
        counts.waitingWorkers = max(0, counts.waitingWorkers - mailbox.abandonedCount)
        return counts
    }

    /// Its jobs by task group: those of `MeasuredGroups` that had some, and `other` for the rest.
    public var groups: [TaskGroup: GroupLevel] { gauge.groupLevels }

    /// What it does at this moment. Asks no task: a shard that hangs tells it too.
    public var activity: ShardActivity {
        let (flushBegan, answersOwed) = committer.load
        let (date, delay) = gauge.nextAlarm
        return ShardActivity(
            at: clock.moment, mailbox: mailbox.load, turnBegan: gauge.turnBegan, flushBegan: flushBegan,
            answersOwed: answersOwed, nextDate: date, nextAlarm: delay
        )
    }

    /// Retention also of jobs that have finished before. Audits begin only where there were some when the shard was opened.
    public func change(_ settings: EngineSettings.Changeable) {
        gauge.settings = settings
        committer.setFlushGap(settings.flushGapMilliseconds)
    }

    /// Jobs that were erased because their time was over, since the shard was opened.
    public var sweptCount: Int { gauge.sweptCount }

    /// How far the deletion of a tenant has come; nil: it is not being deleted.
    package func drop(of tenant: Tenant) -> StorageV1.TenantDrop? { gauge.drops[tenant] }

    /// Bulk actions that go on.
    public var bulkCount: Int { gauge.bulks.values.count { $0.goesOn } }

    /// How many audits of the limits have ended since the shard was opened, and what the last one found.
    public var audit: (count: Int, last: HolderAudit.Report) { gauge.audit }

    /// Commands that others have asked for since the shard was opened: whether it is at work shows in how the number grows.
    package var askedCount: Int { mailbox.posted }

    /// Reads beside the loop, on one consistent view. It is given when all that it shows is durable: a reader never sees what a
    /// crash could take back.
    public func snapshot() async throws(SiloError) -> any StoreReader {
        let view: any StoreReader
        do {
            view = try await store.snapshot()
        } catch {
            throw SiloError(stopped: error)
        }
        try await run(AwaitDurability())
        return view
    }

    /// Returns when the shard has stopped: with the store's failure, or nil when it was closed.
    public func untilStopped() async -> StoreError? {
        await running.value
    }

    /// Finishes what was taken in, refuses the rest, makes everything durable and closes the store.
    /// - Parameter refusal: what those hear who come too late.
    public func close(refusing refusal: SiloError = .unavailable("the shard is closing")) async throws(StoreError) {
        mailbox.stop(refusal)
        let failure = await running.value
        if let failure {
            try? await store.close()
            throw failure
        }
        try await store.close()
    }
}
