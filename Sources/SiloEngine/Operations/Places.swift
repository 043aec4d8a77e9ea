import Protobuf
import SiloCore
import SiloStore

// A job stands in exactly one place: ready, timer, leased or finished. Every operation is a move between two of them,
// and these are the moves. They write the rows of the place and keep memory and the counts of the queue in step.

/// A job that a command works on.
struct JobReference {
    let id: JobID
    let queue: Queue
    var keys: TenantKeys { queue.keys }
}

extension Transaction {
    /// Makes the job's pending attempt due: ready at once, or when its start time comes.
    ///
    /// The one way into the ready queue. Enqueue, timers, retries, restarts and expedites all pass here, so that limits
    /// have one place to be asked.
    func admit(_ job: JobReference, _ task: StorageV1.Task) {
        if Timestamp(task.startMs) > now {
            placeTimer(job, task)
        } else {
            placeReady(job, task)
        }
    }

    /// The pending attempt of a job, with a copy of the job when that is small.
    func task(_ job: StorageV1.Job, attempt: UInt32, relative: UInt32, start: Timestamp, encodedBytes: Int) -> StorageV1.Task {
        var task = StorageV1.Task()
        task.attempt = attempt
        task.relativeAttempt = relative
        task.startMs = start.milliseconds
        task.priority = job.priority
        if encodedBytes <= settings.inlineJobBytesMax { task.job = job }
        return task
    }

    /// Where a task stands among the ready ones: by priority, raised slowly by waiting, then by time.
    func rank(_ task: StorageV1.Task) -> UInt64 {
        let (sum, overflow) = Timestamp(task.startMs).sortable
            .addingReportingOverflow(UInt64(task.priority) * settings.agingMillisecondsPerPriority)
        return overflow ? .max : sum
    }

    private func placeReady(_ job: JobReference, _ task: StorageV1.Task) {
        let pending = PendingTask(Position(order: rank(task), job: job.id), task)
        put(job.keys.ready(job.queue.id.group, pending.position.order, job.id), task.serializedBytes())
        afterwards { memory in
            memory.addReady(pending, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    private func placeTimer(_ job: JobReference, _ task: StorageV1.Task) {
        let pending = PendingTask(Position(order: Timestamp(task.startMs).sortable, job: job.id), task)
        put(job.keys.timer(job.queue.id.group, pending.position.order, job.id), task.serializedBytes())
        afterwards { memory in
            memory.addTimer(pending, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    /// Takes the pending attempt away from wherever it waits, and gives it back; nil when it waits nowhere.
    /// - Parameters:
    ///   - priority: of the job.
    ///   - start: of the pending attempt, as the job's status says.
    func takePending(_ job: JobReference, priority: UInt32, start: Timestamp) async throws(StoreError) -> StorageV1.Task? {
        var probe = StorageV1.Task()
        probe.priority = priority
        probe.startMs = start.milliseconds
        let group = job.queue.id.group

        let ready = Position(order: rank(probe), job: job.id)
        let readyKey = job.keys.ready(group, ready.order, job.id)
        if let bytes = try await get(readyKey) {
            delete(readyKey)
            afterwards { memory in
                memory.changeWindow(job.queue) { $0.ready.remove(ready) }
                job.queue.counts.ready.countDown()
                job.queue.hasUnwrittenRows = true
                memory.markDirty(job.queue)
            }
            return try? StorageV1.Task(serializedBytes: bytes)
        }
        let timer = Position(order: start.sortable, job: job.id)
        let timerKey = job.keys.timer(group, timer.order, job.id)
        if let bytes = try await get(timerKey) {
            delete(timerKey)
            afterwards { memory in
                memory.changeWindow(job.queue) { $0.timers.remove(timer) }
                job.queue.counts.timers.countDown()
                job.queue.hasUnwrittenRows = true
                memory.markDirty(job.queue)
            }
            return try? StorageV1.Task(serializedBytes: bytes)
        }
        return nil
    }

    /// Gives the job to a worker. Durable before the worker learns of it.
    func placeLease(_ job: JobReference, _ task: StorageV1.Task, worker: String) -> LiveLease {
        let taskID = TaskID(.random(from: random))
        var record = StorageV1.Lease()
        record.taskId = taskID.uuid.bytes
        record.workerId = worker
        record.taskGroup = job.queue.id.group.text
        record.attempt = task.attempt
        record.relativeAttempt = task.relativeAttempt
        record.startedAtMs = now.milliseconds
        record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds
        record.startMs = task.startMs
        record.priority = task.priority
        let lease = LiveLease(taskID: taskID, job: job.id, queue: job.queue, record: record)
        put(lease.key, record.serializedBytes())
        afterwards { memory in
            memory.addLease(lease)
            memory.markDirty(job.queue)
        }
        return lease
    }

    /// Stores a changed lease.
    func rewrite(_ lease: LiveLease, _ change: (inout StorageV1.Lease) -> Void) {
        var record = lease.record
        change(&record)
        put(lease.key, record.serializedBytes())
        afterwards { _ in lease.record = record }
    }

    func removeLease(_ lease: LiveLease) {
        delete(lease.key)
        afterwards { memory in
            memory.leases[lease.taskID] = nil
            lease.queue.counts.leased.countDown()
            memory.markDirty(lease.queue)
        }
    }

    /// Puts a finished job into its place in the index.
    func placeFinished(_ job: JobReference, _ state: StorageV1.JobState, at time: Timestamp, expiresAt: Timestamp?) {
        put(job.keys.finished(UInt8(state.rawValue), time, job.id), [], expiresAt: expiresAt)
        afterwards { memory in
            job.queue.counts.change(state, by: 1)
            memory.completedJobs += 1
            memory.markDirty(job.queue)
        }
    }

    func removeFinished(_ job: JobReference, _ status: StorageV1.Status) {
        delete(job.keys.finished(UInt8(status.state.rawValue), Timestamp(status.changedAtMs), job.id))
        afterwards { memory in
            job.queue.counts.change(status.state, by: -1)
            memory.completedJobs -= 1
            memory.markDirty(job.queue)
        }
    }
}

extension StorageV1.QueueCounts {
    /// Counts a job into or out of a finished state. Never below zero: rows that expired by themselves were not counted out.
    mutating func change(_ state: StorageV1.JobState, by difference: Int64) {
        func changed(_ count: UInt64) -> UInt64 { UInt64(max(0, Int64(clamping: count) + difference)) }
        switch state {
        case .succeeded: succeeded = changed(succeeded)
        case .failed: failed = changed(failed)
        case .cancelled: cancelled = changed(cancelled)
        default: break
        }
    }
}

extension UInt64 {
    /// Counts down, never below zero: a stored count that is wrong must not stop the process.
    mutating func countDown(by amount: UInt64 = 1) { self -= Swift.min(self, amount) }
}
