import Protobuf
import SiloCore
import SiloStore

/// Timer: the job waits for a date, or for a length of time to pass.
struct TimerMoves: Part {
    let transaction: Transaction

    /// - Parameter due: when the timer fires: at the date of the task's start, or when the length of time has passed that the
    ///   job's
    ///   status tells of.
    func add(_ job: JobReference, _ task: StorageV1.Task, _ due: Due) {
        let pending = PendingTask(Position(order: due.at.sortable, arrival: task.jobArrival, job: job.id), task)
        rows.insert(job.keys.timer(due.axis, job.group, pending.position), task.serializedBytes())
        memory.addTimer(pending, due.axis, to: job.queue)
        memory.markDirty(job.queue)
    }

    /// Whether the first job of a queue is in memory, and its limits, if its time has come. False: the store does not answer.
    func haveFirstDueAtHand(of queue: Queue, _ axis: Axis) async throws(StoreError) -> Bool {
        guard try await haveFirstAtHand(of: .timers(queue, axis)) else { return false }
        guard let first = queue.timers[axis].window.first, first.isDue(at: moment[axis]) else { return true }
        return try await transaction.haveAtHand(transaction.unread(first.record.jobLimits, of: queue.id.tenant))
    }

    /// Takes the first job of a queue whose time has come by a clock, with what it holds.
    func takeFirstDue(of queue: Queue, _ axis: Axis) async throws(StoreError) -> (job: JobReference, task: StorageV1.Task)? {
        guard let first = try await first(of: .timers(queue, axis)), first.isDue(at: moment[axis]) else { return nil }
        rows.delete(queue.keys.timer(axis, queue.id.group, first.position))
        memory.popFirst(of: .timers(queue, axis))
        return (JobReference(id: first.position.job, queue: queue), first.record)
    }
}

extension PendingTask {
    /// Of one at a timer.
    fileprivate func isDue(at time: Timestamp) -> Bool { Timestamp(Int64(clamping: position.order)) <= time }
}
