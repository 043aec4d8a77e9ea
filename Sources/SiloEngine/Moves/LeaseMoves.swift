import Protobuf
import SiloCore
import SiloStore

/// Leased: the job runs at a worker, or is thought to.
struct LeaseMoves: Part {
    let transaction: Transaction

    /// Gives the job to a worker. Durable before the worker learns of it.
    /// - Parameter slots: the keys of the limits that it holds a slot of.
    func add(_ job: JobReference, _ task: StorageV1.Task, _ kept: Kept, worker: String, slots: [LimitKey]) -> LiveLease {
        let taskID = TaskID(.random(from: transaction.random))
        var record = StorageV1.Lease()
        record.taskId = taskID.uuid.bytes
        record.workerId = worker
        record.taskGroup = job.group.text
        record.attempt = task.attempt
        record.relativeAttempt = task.relativeAttempt
        record.startedAtMs = now.milliseconds
        record.startedSteadyMs = steady.milliseconds
        record.expiresAtMs = (steady + settings.leaseMilliseconds).milliseconds
        record.startMs = task.startMs
        record.priority = task.priority
        record.slots = slots.map(\.text)
        record.slotHold = task.slotHold
        record.used = task.reserved
        record.unheard = task.unheard
        record.retainMs = kept.retainMs
        record.bare = kept.isBare
        let lease = LiveLease(taskID: taskID, job: job.id, queue: job.queue, record: record)
        rows.insert(lease.key, record.serializedBytes())
        memory.addLease(lease)
        memory.markDirty(job.queue)
        return lease
    }

    /// The worker that has it was heard: it lasts as long again.
    func renew(_ lease: LiveLease) {
        let expiresAt = steady + settings.leaseMilliseconds
        lease.expiresAt = expiresAt
        lease.batch = memory.batch
        rewrite(lease) { record in
            record.expiresAtMs = expiresAt.milliseconds
            record.heard = true
        }
    }

    /// Its worker learns of the cancellation by its next heartbeat.
    func markCancelled(_ lease: LiveLease) {
        rewrite(lease) { $0.cancelledAtMs = now.milliseconds }
    }

    private func rewrite(_ lease: LiveLease, _ change: (inout StorageV1.Lease) -> Void) {
        change(&lease.record)
        rows.put(lease.key, lease.record.serializedBytes())
    }

    func remove(_ lease: LiveLease) {
        rows.delete(lease.key)
        memory.removeLease(lease)
        memory.markDirty(lease.queue)
    }
}
