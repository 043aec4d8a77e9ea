import SiloCore
import SiloStore
import Synchronization

/// The loop of one shard: it takes the commands that wait, runs them one after another against one transaction, writes
/// what they changed as one batch, and goes on; the committer makes the batch durable and answers.
final class ShardLoop {
    private let memory: ShardMemory
    private let store: any KeyValueStore
    private let mailbox: Mailbox
    private let committer: Committer
    private let clock: any Clock
    private let executor: (any TaskExecutor)?
    private let transaction: Transaction
    private let gauge: ShardGauge
    private let rateLimiter: (any RateLimiter)?
    private let onHealed: @Sendable (HealedFault) -> Void
    private var absencesSeen: Int
    private var alarm: (bell: Bell, task: Task<Void, Never>)?
    /// An alarm that rings at a date or at a steady time. Whether it has rung is noted: the clocks do not tell, for the wall
    /// clock may have been set back since.
    private final class Bell: Sendable {
        let date: Timestamp
        let delay: Timestamp
        let hasRung = Atomic(false)
        init(_ date: Timestamp, _ delay: Timestamp) {
            self.date = date
            self.delay = delay
        }
    }

    init(
        memory: ShardMemory, store: any KeyValueStore, mailbox: Mailbox, committer: Committer,
        clock: any Clock, random: any RandomSource, executor: (any TaskExecutor)?, gauge: ShardGauge,
        rateLimiter: (any RateLimiter)?, onHealed: @escaping @Sendable (HealedFault) -> Void
    ) {
        self.memory = memory
        self.store = store
        self.mailbox = mailbox
        self.committer = committer
        self.clock = clock
        self.executor = executor
        self.gauge = gauge
        self.rateLimiter = rateLimiter
        self.onHealed = onHealed
        absencesSeen = clock.absences
        transaction = Transaction(store: store, memory: memory, clock: clock, random: random)
    }

    /// Serves until the mailbox is stopped and empty. Throws when the store fails: memory is worth nothing then.
    func run() async throws(StoreError) {
        defer { alarm?.task.cancel() }
        while !mailbox.isFinished {
            setAlarm()
            await mailbox.waitForWork()
            do {
                try await turn()
            } catch {
                mailbox.fail(memory.waiters.popAll(), .unavailable(error.message))
                throw error
            }
        }
        finish(memory.waiters.popAll(), wrote: false)
    }

    /// One batch.
    private func turn() async throws(StoreError) {
        let waiting = mailbox.beginTurn()
        memory.waiters.left(mailbox.takeAbandoned())
        var answers: [any PendingWork] = []
        do {
            try await serveLanes(waiting, &answers)
            noticeAbsence()
            let horizon = min(transaction.steady, mailbox.oldestRenewal ?? transaction.steady)
            _ = try await transaction.perform(ExpireLeases(endedBy: horizon))
            _ = try await transaction.perform(FireTimers())
            _ = try await transaction.perform(TendLimits(judging: horizon))
            // What a command left over, of very many lines.
            if memory.limits.hasFreed { try await transaction.grantFreed() }
            var room = TurnRoom(memory.settings, from: transaction.steady)
            try await serveWaiters(&room, &answers)
            answers += memory.waiters.popOverdue(at: transaction.steady) as [any PendingWork]

            let batch = transaction.takeBatch()
            if !batch.isEmpty { try await store.write(batch) }
            memory.forgetIdle()
            askRateLimiter()
            gauge.update(from: memory)
            for fault in memory.healed.takeNew() { onHealed(fault) }
            finish(answers, wrote: !batch.isEmpty)
        } catch {
            Probe.writeFailed.reached()
            mailbox.fail(answers, .unavailable(error.message))
            throw error
        }
    }

    /// Workers could not renew their leases while this process was not there: they begin anew, as when a shard is opened.
    private func noticeAbsence() {
        // The clock is read after: an absence that comes in between is seen in the next turn.
        let absences = clock.absences
        transaction.begin()
        guard absences != absencesSeen else { return }
        absencesSeen = absences
        Probe.leasesBegunAnew.reached()
        memory.beginLeasesAnew(at: transaction.steady)
    }

    /// Runs what waits, as much as one turn may do: what the shard sent itself, then renewals, then the rest in order.
    private func serveLanes(
        _ waiting: (renewals: Int, ordinary: Int), _ answers: inout [any PendingWork]
    ) async throws(StoreError) {
        var left = waiting
        transaction.begin()
        let room = TurnRoom(memory.settings, from: transaction.steady)
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
        do {
            if work is PendingLease { try await serveWaiters(&room, &answers) }
            guard try await work.run(in: transaction, &room) else { return mailbox.putBack(work) }
            if let lease = work as? PendingLease { mailbox.grew(by: lease.grow()) }
        } catch {
            mailbox.fail([work], .unavailable(error.message))
            throw error
        }
        if let lease = work as? PendingLease, let deadline = lease.deadline, lease.waits(at: transaction.steady),
            lease.beginWaiting()
        {
            return memory.waiters.append(lease, until: deadline)
        }
        answers.append(work)
        if work is DismissWaiters { answers += memory.waiters.popAll() as [any PendingWork] }
    }

    /// Gives what became ready to those who wait for it, in the same batch and before anybody who came later.
    private func serveWaiters(_ room: inout TurnRoom, _ answers: inout [any PendingWork]) async throws(StoreError) {
        let ready = memory.takeNewlyReady()
        guard !memory.waiters.isEmpty else { return }
        for group in ready.sorted() {
            while memory.hasWork(for: group), let waiter = memory.waiters.first(of: group) {
                transaction.begin()
                guard !room.isSpent(at: transaction.steady), !mailbox.isOver else {
                    memory.lookAgain(for: group)
                    break
                }
                _ = try await waiter.run(in: transaction, &room)
                mailbox.grew(by: waiter.grow())
                // What is ready is not for it, such as a task that is too large for its answer.
                if waiter.waits(at: transaction.steady), waiter.beginWaiting() { break }
                memory.waiters.removeFirst(of: group)
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

    private func finish(_ answers: [any PendingWork], wrote: Bool) {
        guard wrote || !answers.isEmpty else { return }
        committer.commit(answers, wrote: wrote)
    }

    /// Wakes the loop when a date comes, or when the next lease expires, length of time has passed or waiting ends.
    private func setAlarm() {
        let isBehind =
            memory.limits.hasFreed || memory.limits.unreadLines != nil || !memory.unserved.isEmpty && !memory.waiters.isEmpty
        if isBehind { return mailbox.wake() }
        let date = memory.nextDate ?? .distantFuture
        let delay =
            [memory.leaseAlarms.first?.at, memory.waiters.nextDeadline, memory.nextDelay].compactMap { $0 }.min()
            ?? .distantFuture
        guard date != .distantFuture || delay != .distantFuture else { return }
        let now = clock.moment
        guard date > now.wall, delay > now.steady else { return mailbox.wake() }
        if let alarm {
            guard date < alarm.bell.date || delay < alarm.bell.delay || alarm.bell.hasRung.load(ordering: .acquiring) else {
                return
            }
            alarm.task.cancel()
        }
        let bell = Bell(date, delay)
        // Belongs to the loop, which cancels it when it ends; it only rings.
        let task = Task(executorPreference: executor) { [clock, mailbox] in
            do { try await clock.sleep(until: date, or: delay) } catch { return }
            bell.hasRung.store(true, ordering: .releasing)
            mailbox.wake()
        }
        alarm = (bell, task)
    }
}

extension Clock {
    /// Returns when the wall clock shows a date, or when a steady time has come; at once when that is past. It looks at the
    /// clocks now and then, for sleeps may be faster than they are, and the wall clock may be set to the date or past it.
    fileprivate func sleep(until date: Timestamp, or time: Timestamp) async throws {
        // No sleep is too long for the system.
        let most: Int64 = date == .distantFuture ? 3_600_000 : 1000
        while true {
            let now = moment
            guard date > now.wall, time > now.steady else { return }
            try await sleep(milliseconds: min(date - now.wall, time - now.steady, most))
        }
    }
}
