import SiloCore
import SiloStore

/// The loop of one shard: it takes the commands that wait, runs them one after another against one transaction, writes
/// what they changed as one batch, and goes on; the committer makes the batch durable and answers.
final class ShardLoop {
    private let memory: ShardMemory
    private let store: any KeyValueStore
    private let mailbox: Mailbox
    private let committer: Committer
    private let clock: any Clock
    private let transaction: Transaction
    private let gauge: ShardGauge
    private let rateLimiter: (any RateLimiter)?
    private let events: any EngineEvents
    private let retained: RetainedBoard
    private var absencesSeen: Int
    /// Why the store lets nothing begin in this turn; nil: it does.
    private var refusal: StoreError?
    private let alarm: LoopAlarm

    init(
        memory: ShardMemory, store: any KeyValueStore, mailbox: Mailbox, committer: Committer,
        clock: any Clock, random: any RandomSource, executor: (any TaskExecutor)?, gauge: ShardGauge,
        rateLimiter: (any RateLimiter)?, retained: RetainedBoard, events: any EngineEvents
    ) {
        self.memory = memory
        self.store = store
        self.mailbox = mailbox
        self.committer = committer
        self.clock = clock
        self.gauge = gauge
        self.rateLimiter = rateLimiter
        self.events = events
        self.retained = retained
        absencesSeen = clock.absences
        alarm = LoopAlarm(clock: clock, mailbox: mailbox, executor: executor)
        transaction = Transaction(store: store, memory: memory, clock: clock, random: random, executor: executor) {
            store.isOpen
        }
    }

    /// Serves until the mailbox is stopped and empty. Throws when the store fails: memory is worth nothing then.
    func run() async throws(StoreError) {
        defer { alarm.cancel() }
        while !mailbox.isFinished {
            setAlarm()
            await mailbox.waitForWork()
            do {
                try await turn()
                // Others come first: who answers, and what the thread does itself.
                if LentThread.isCurrent { await Task.yield() }
            } catch {
                mailbox.fail(memory.waiters.popAll(), SiloError(stopped: error))
                throw error
            }
        }
        finish(memory.waiters.popAll(), nil)
    }

    /// One batch.
    private func turn() async throws(StoreError) {
        events.turnBegan()
        gauge.turnBegan(at: clock.steady)
        memory.tally = TurnTally()
        let waiting = mailbox.beginTurn()
        memory.tally.longestWait = mailbox.oldest.map { max(0, clock.steady - $0) }
        memory.waiters.left(mailbox.takeAbandoned())
        noticeRefusal()
        var answers: [any PendingWork] = []
        do {
            try await serveLanes(waiting, &answers)
            noticeAbsence()
            if refusal == nil { try await performDuties(&answers) }
            answers += memory.waiters.popOverdue(at: transaction.steady) as [any PendingWork]

            let batch = transaction.takeBatch()
            events.turnRan(memory.tally)
            let written = batch.isEmpty ? nil : memory.endBatch()
            if !batch.isEmpty { try await store.write(batch) }
            retained.came(memory.retained.take())
            memory.forgetIdle()
            askRateLimiter()
            gauge.update(from: memory, at: clock.steady)
            tellEvents()
            events.turnEnded(BatchSize(of: batch))
            finish(answers, written)
            gauge.turnEnded()
        } catch {
            memory.branches.reached(.writeFailed)
            tellEvents()
            mailbox.fail(answers, SiloError(stopped: error))
            throw error
        }
    }

    /// What the shard does by itself.
    private func performDuties(_ answers: inout [any PendingWork]) async throws(StoreError) {
        let horizon = min(transaction.steady, mailbox.oldestRenewal ?? transaction.steady)
        try await transaction.perform(ExpireLeases(endedBy: horizon))
        try await transaction.perform(FireTimers())
        try await transaction.perform(TendLimits(judging: horizon))
        // What a command left over, of very many lines.
        if memory.limits.hasFreed { try await transaction.grants.grantFreed() }
        var room = TurnRoom(memory.settings, from: transaction.steady, isBrief: LentThread.isCurrent)
        try await serveWaiters(&room, &answers)
    }

    /// While the store has no space nothing new begins, and nothing ends by itself: workers cannot renew their leases, so those
    /// begin anew when it has.
    private func noticeRefusal() {
        let wasRefused = refusal != nil
        refusal = store.refusal
        guard wasRefused, refusal == nil else { return }
        transaction.begin()
        memory.branches.reached(.leasesBegunAnew)
        memory.beginLeasesAnew(at: transaction.steady)
    }

    private func tellEvents() {
        memory.healed.tell(events)
        memory.branches.tell(events)
        for group in memory.levels.takeLeft() { events.measuredWithOthers(group) }
    }

    /// Workers could not renew their leases while this process was not there: they begin anew, as when a shard is opened.
    private func noticeAbsence() {
        // The clock is read after: an absence that comes in between is seen in the next turn.
        let absences = clock.absences
        transaction.begin()
        guard absences != absencesSeen else { return }
        absencesSeen = absences
        memory.branches.reached(.leasesBegunAnew)
        memory.beginLeasesAnew(at: transaction.steady)
    }

    /// Runs what waits, as much as one turn may do: what the shard sent itself, then renewals, then the rest in order.
    private func serveLanes(
        _ waiting: (renewals: Int, ordinary: Int), _ answers: inout [any PendingWork]
    ) async throws(StoreError) {
        var left = waiting
        transaction.begin()
        let room = TurnRoom(memory.settings, from: transaction.steady, isBrief: LentThread.isCurrent)
        var spent = room.forRenewals
        var ordinary = room
        // Always some, so that a turn that is late from its beginning gets on.
        while left.renewals > 0, let work = mailbox.take(.own) ?? mailbox.take(.renewal) {
            left.renewals -= 1
            try await serve(work, &spent, &answers)
            if spent.isSpent(at: transaction.steady) { break }
        }
        ordinary.take(spent.taken)
        while left.ordinary > 0, let work = mailbox.take(.ordinary) {
            left.ordinary -= 1
            try await serve(work, &ordinary, &answers)
            if ordinary.isSpent(at: transaction.steady) { break }
        }
    }

    private func serve(_ work: any PendingWork, _ room: inout TurnRoom, _ answers: inout [any PendingWork])
        async throws(StoreError)
    {
        transaction.begin()
        if let refusal, work.changes { return mailbox.fail([work], SiloError(stopped: refusal)) }
        do {
            if work.goesBehindWaiters { try await serveWaiters(&room, &answers) }
            guard try await work.run(in: transaction, &room) else { return mailbox.putBack(work) }
            mailbox.grew(by: work.grow())
        } catch {
            mailbox.fail([work], SiloError(stopped: error))
            throw error
        }
        answers += work.settle(among: &memory.waiters, at: transaction.steady)
    }

    /// Gives what became ready to those who wait for it, in the same batch and before anybody who came later.
    private func serveWaiters(_ room: inout TurnRoom, _ answers: inout [any PendingWork]) async throws(StoreError) {
        let ready = memory.news.takeReady()
        guard !memory.waiters.isEmpty else { return }
        for kind in ready.sorted() {
            while memory.hasWork(for: kind), let waiter = memory.waiters.first(of: kind) {
                transaction.begin()
                guard !room.isSpent(at: transaction.steady), !mailbox.isOver else {
                    memory.news.lookAgain(for: kind)
                    break
                }
                _ = try await waiter.run(in: transaction, &room)
                mailbox.grew(by: waiter.grow())
                // What is ready is not for it, such as a task that is too large for its answer.
                if waiter.waits(at: transaction.steady), waiter.beginWaiting() { break }
                memory.waiters.removeFirst(of: kind)
                answers.append(waiter)
            }
        }
    }

    private func askRateLimiter() {
        for question in memory.takeChecks() {
            rateLimiter?.check(question.check) { [mailbox] answer in
                mailbox.post(PendingCommand(RateAnswered(question: question, answer: answer)) { _ in })
            }
        }
    }

    private func finish(_ answers: [any PendingWork], _ written: WrittenBatch?) {
        guard written != nil || !answers.isEmpty else { return }
        committer.commit(answers, written)
    }

    /// Wakes the loop when a date comes, or when the next lease expires, length of time has passed or waiting ends.
    private func setAlarm() {
        guard refusal == nil else {
            return alarm.set(date: .distantFuture, delay: clock.steady + Self.refusedMilliseconds)
        }
        if let rest = transaction.rest { return alarm.set(date: .distantFuture, delay: rest.until) }
        let isBehind =
            memory.limits.hasFreed || memory.limits.unreadLines != nil || !memory.news.unserved.isEmpty && !memory.waiters.isEmpty
        if isBehind { return mailbox.wake() }
        let date = memory.nextDate ?? .distantFuture
        let delay =
            [memory.leaseAlarms.first?.at, memory.waiters.nextDeadline, memory.nextDelay].compactMap { $0 }.min()
            ?? .distantFuture
        gauge.alarmSet(date: date, delay: delay)
        alarm.set(date: date, delay: delay)
    }

    /// How soon a shard that refuses changes looks whether it may take them again.
    private static let refusedMilliseconds: Int64 = 250
}
