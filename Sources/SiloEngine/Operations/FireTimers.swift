import SiloCore
import SiloStore

/// Admits the pending attempts whose start time has come.
struct FireTimers: Command {
    /// Timers of each clock fired in one go.
    static let countMax = 512

    func run(in transaction: Transaction) async throws {
        for axis in Axis.allCases {
            var left = Self.countMax
            let now = transaction.moment[axis]
            while left > 0, let alarm = transaction.memory.timerAlarms[axis].first, alarm.at <= now {
                transaction.memory.timerAlarms[axis].popFirst()
                guard let queue = transaction.memory.queues[alarm.queue], queue.timers[axis].alarm == alarm.at else { continue }
                queue.timers[axis].alarm = nil
                try await fire(queue, axis, in: transaction, left: &left)
                transaction.memory.armTimers(of: queue, axis)
            }
        }
    }

    private func fire(_ queue: Queue, _ axis: Axis, in transaction: Transaction, left: inout Int) async throws(StoreError) {
        while left > 0, queue.counts[axis] > 0 {
            if queue.timers[axis].window.isEmpty { try await transaction.loadTimers(queue, axis) }
            guard let first = queue.timers[axis].window.first else {
                transaction.memory.healed.note(.timerMissing)
                queue.counts[axis] = 0
                transaction.memory.markDirty(queue)
                return
            }
            guard Timestamp(Int64(clamping: first.position.order)) <= transaction.moment[axis] else { return }
            transaction.memory.changeWindow(queue) { _ = queue.timers[axis].window.popFirst() }
            transaction.delete(queue.keys.timer(axis, queue.id.group, first.position))
            transaction.memory.healed.countDown(&queue.counts[axis])
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
