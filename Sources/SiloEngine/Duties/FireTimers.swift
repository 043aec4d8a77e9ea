import SiloCore
import SiloStore

/// Admits the pending attempts whose time has come.
struct FireTimers: Duty {
    /// Timers of each clock fired in one go.
    static let countMax = 512

    func run(in transaction: Transaction) async throws(StoreError) {
        let memory = transaction.memory
        for axis in Axis.allCases {
            var left = Self.countMax
            // Those whose rows the store does not give.
            var waiting: [Queue] = []
            defer { for queue in waiting { memory.armTimers(of: queue, axis) } }
            let now = transaction.moment[axis]
            while left > 0, let alarm = memory.timerAlarms[axis].first, alarm.at <= now {
                memory.timerAlarms[axis].popFirst()
                guard let queue = memory.queues[alarm.queue], queue.timers[axis].alarm == alarm.at else { continue }
                queue.timers[axis].alarm = nil
                if try await fire(queue, axis, in: transaction, left: &left) {
                    memory.armTimers(of: queue, axis)
                } else {
                    waiting.append(queue)
                }
            }
        }
    }

    /// False: the store does not answer.
    private func fire(
        _ queue: Queue, _ axis: Axis, in transaction: Transaction, left: inout Int
    ) async throws(StoreError) -> Bool {
        while left > 0, queue.counts[axis] > 0 {
            guard try await transaction.timers.haveFirstDueAtHand(of: queue, axis) else { return false }
            guard let (job, task) = try await transaction.timers.takeFirstDue(of: queue, axis) else { break }
            // It holds something when it waited in vain for an external limiter's answer.
            try await transaction.admission.admitDue(job, try await transaction.limits.releasing(task, job))
            left -= 1
        }
        return true
    }
}
