import SiloCore
import SiloStore

/// Admits the pending attempts whose start time has come.
struct FireTimers: Command {
    /// Timers fired in one go.
    static let countMax = 512

    func run(in transaction: Transaction) async throws {
        var left = Self.countMax
        while left > 0, let alarm = transaction.memory.timerAlarms.first, alarm.at <= transaction.now {
            transaction.memory.timerAlarms.popFirst()
            guard let queue = transaction.memory.queues[alarm.queue], queue.alarm == alarm.at else { continue }
            queue.alarm = nil
            try await fire(queue, in: transaction, left: &left)
            transaction.memory.armTimers(of: queue)
        }
    }

    private func fire(_ queue: Queue, in transaction: Transaction, left: inout Int) async throws(StoreError) {
        while left > 0, queue.counts.timers > 0 {
            if queue.timers.isEmpty { try await transaction.loadTimers(queue) }
            guard let first = queue.timers.first else {
                transaction.memory.healed.note(.timerMissing)
                queue.counts.timers = 0
                transaction.memory.markDirty(queue)
                return
            }
            guard Timestamp(Int64(clamping: first.position.order)) <= transaction.now else { return }
            transaction.memory.changeWindow(queue) { _ = queue.timers.popFirst() }
            transaction.delete(queue.keys.timer(queue.id.group, first.position.order, first.position.job))
            transaction.memory.healed.countDown(&queue.counts.timers)
            transaction.memory.markDirty(queue)
            let job = JobReference(id: first.position.job, queue: queue)
            // It holds something when it waited in vain for an external limiter's answer.
            try await transaction.admitDue(job, try await transaction.releasing(first.record, job))
            // Memory must know of a timer that was set anew before the next page is read, which shows its row already.
            transaction.keep()
            left -= 1
        }
    }
}
