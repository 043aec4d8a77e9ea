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
    private var alarm: (at: Timestamp, task: Task<Void, Never>)?

    init(
        memory: ShardMemory, store: any KeyValueStore, mailbox: Mailbox, committer: Committer,
        clock: any Clock, random: any RandomSource, gauge: ShardGauge
    ) {
        self.memory = memory
        self.store = store
        self.mailbox = mailbox
        self.committer = committer
        self.clock = clock
        self.gauge = gauge
        transaction = Transaction(store: store, memory: memory, now: clock.now, random: random)
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
                transaction.begin(at: clock.now)
                try await item.run(in: transaction)
                if let lease = item as? PendingLease, lease.isEmpty, let deadline = lease.deadline,
                    deadline > transaction.now, !lease.isAbandoned
                {
                    memory.waiters.append(lease, until: deadline)
                } else {
                    answers.append(item)
                }
                begun += 1
            }
            transaction.begin(at: clock.now)
            _ = try await transaction.perform(ExpireLeases())
            _ = try await transaction.perform(FireTimers())
            try await serveWaiters(&answers)

            let batch = transaction.takeBatch()
            if !batch.isEmpty { try await store.write(batch) }
            finish(answers, wrote: !batch.isEmpty)
        } catch {
            for item in answers + work[begun...] { item.fail(.unavailable(error.message)) }
            throw error
        }
        memory.forgetIdleQueues()
        gauge.update(from: memory)
    }

    /// Gives what became ready to those who wait for it, in the same batch, and lets those go who waited long enough.
    private func serveWaiters(_ answers: inout [any PendingWork]) async throws(StoreError) {
        let ready = memory.takeNewlyReady()
        guard memory.waiters.count > 0 else { return }
        for group in ready {
            while memory.nextQueue(in: group) != nil, let waiter = memory.waiters.popFirst(of: group) {
                try await waiter.run(in: transaction)
                answers.append(waiter)
            }
        }
        answers += memory.waiters.popOverdue(at: transaction.now) as [any PendingWork]
    }

    private func finish(_ answers: [any PendingWork], wrote: Bool) {
        guard wrote || !answers.isEmpty else { return }
        committer.commit(answers, wrote: wrote)
    }

    /// Wakes the loop when the next lease expires, timer is due or waiting ends.
    private func setAlarm() {
        let next = [memory.leaseAlarms.first?.at, memory.timerAlarms.first?.at, memory.waiters.nextDeadline]
            .compactMap { $0 }.min()
        guard let next else { return }
        if let alarm {
            guard next < alarm.at || alarm.at <= transaction.now else { return }
            alarm.task.cancel()
        }
        let rest = max(1, next - clock.now)
        // Belongs to the loop, which cancels it when it ends; it only rings.
        let task = Task { [clock, mailbox] in
            do { try await clock.sleep(milliseconds: rest) } catch { return }
            mailbox.wake()
        }
        alarm = (next, task)
    }
}
