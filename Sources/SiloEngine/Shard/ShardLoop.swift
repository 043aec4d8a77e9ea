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
    private var alarm: (bell: Bell, task: Task<Void, Never>)?
    /// Says of an alarm that it has rung: one that rang at a date that was set back is over all the same.
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
        rateLimiter: (any RateLimiter)?
    ) {
        self.memory = memory
        self.store = store
        self.mailbox = mailbox
        self.committer = committer
        self.clock = clock
        self.executor = executor
        self.gauge = gauge
        self.rateLimiter = rateLimiter
        transaction = Transaction(store: store, memory: memory, at: clock.moment, random: random)
    }

    /// Serves until the mailbox is stopped and empty. Throws when the store fails: memory is worth nothing then.
    func run() async throws(StoreError) {
        defer { alarm?.task.cancel() }
        while true {
            setAlarm()
            let (work, isStopped) = await mailbox.take(memory.settings.batchCommandsMax)
            do {
                try await turn(work)
            } catch {
                for waiter in memory.waiters.popAll() { waiter.fail(.unavailable(error.message)) }
                throw error
            }
            if isStopped, work.isEmpty { break }
        }
        finish(memory.waiters.popAll(), wrote: false)
    }

    /// One batch.
    private func turn(_ work: [any PendingWork]) async throws(StoreError) {
        var answers: [any PendingWork] = []
        answers.reserveCapacity(work.count)
        var begun = 0
        do {
            for item in work {
                transaction.begin(at: clock.moment)
                if let lease = item as? PendingLease {
                    try await serveWaiters(&answers)
                    try await lease.run(in: transaction)
                    if let deadline = lease.deadline, lease.waits(at: transaction.steady) {
                        memory.waiters.append(lease, until: deadline)
                    } else {
                        answers.append(lease)
                    }
                } else {
                    try await item.run(in: transaction)
                    answers.append(item)
                    if item is DismissWaiters { answers += memory.waiters.popAll() as [any PendingWork] }
                }
                begun += 1
            }
            transaction.begin(at: clock.moment)
            _ = try await transaction.perform(ExpireLeases())
            _ = try await transaction.perform(FireTimers())
            _ = try await transaction.perform(TendLimits())
            // What a command left over, of very many lines.
            if memory.limits.hasFreed { try await transaction.grantFreed() }
            try await serveWaiters(&answers)
            answers += memory.waiters.popOverdue(at: transaction.steady) as [any PendingWork]

            let batch = transaction.takeBatch()
            if !batch.isEmpty { try await store.write(batch) }
            memory.forgetIdle()
            askRateLimiter()
            gauge.update(from: memory)
            finish(answers, wrote: !batch.isEmpty)
        } catch {
            Probe.writeFailed.reached()
            for item in answers + work[begun...] { item.fail(.unavailable(error.message)) }
            throw error
        }
    }

    /// Gives what became ready to those who wait for it, in the same batch and before anybody who came later.
    private func serveWaiters(_ answers: inout [any PendingWork]) async throws(StoreError) {
        let ready = memory.takeNewlyReady()
        guard memory.waiters.count > 0 else { return }
        for group in ready.sorted() {
            while memory.hasWork(for: group), let waiter = memory.waiters.first(of: group) {
                try await waiter.run(in: transaction)
                // What is ready is not for it, such as a task that is too large for its answer.
                if waiter.waits(at: transaction.steady) { break }
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
        let isBehind = memory.limits.hasFreed || memory.limits.unreadLines != nil || !memory.unserved.isEmpty && memory.waiters.count > 0
        if isBehind { return mailbox.wake() }
        let date = memory.nextDate ?? .distantFuture
        let delay = [memory.leaseAlarms.first?.at, memory.waiters.nextDeadline, memory.nextDelay].compactMap { $0 }.min() ?? .distantFuture
        guard date != .distantFuture || delay != .distantFuture else { return }
        let now = clock.moment
        guard date > now.wall, delay > now.steady else { return mailbox.wake() }
        if let alarm {
            guard date < alarm.bell.date || delay < alarm.bell.delay || alarm.bell.hasRung.load(ordering: .acquiring) else { return }
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
    /// Returns when the wall clock shows a date, or when a steady time has come; at once when that is past. It looks at the clocks
    /// now and then, for sleeps may be faster than they are, and the wall clock may be set to the date or past it.
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
