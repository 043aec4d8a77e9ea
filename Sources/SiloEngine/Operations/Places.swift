import Protobuf
import SiloCore
import SiloStore

// A job stands in exactly one place: timer, waiting, ready, leased or finished. Every operation is a move between two of
// them, and these are the moves. They write the rows of the place and keep memory and the counts of the queue in step.

/// A job that a command works on.
struct JobReference {
    let id: JobID
    let queue: Queue
    var keys: TenantKeys { queue.keys }
    var tenant: Tenant { queue.id.tenant }
}

extension Transaction {
    /// The pending attempt of a job, with a copy of the job when that is small.
    /// - Parameter scheduledAt: when the job's status came to say that this attempt is the next.
    func task(
        _ job: StorageV1.Job, attempt: UInt32, relative: UInt32, start: Timestamp, scheduledAt: Timestamp, encodedBytes: Int
    ) -> StorageV1.Task {
        var task = StorageV1.Task()
        task.attempt = attempt
        task.relativeAttempt = relative
        task.startMs = start.milliseconds
        task.scheduledAtMs = scheduledAt.milliseconds
        task.priority = job.priority
        if encodedBytes <= settings.inlineJobBytesMax {
            task.job = job
        } else {
            task.limits = job.limits
            task.taskGroup = job.taskGroup
            task.arrival = job.arrival
        }
        return task
    }

    /// Where a task stands among those that are ready or wait at a limit.
    private func position(_ job: JobReference, _ task: StorageV1.Task) -> Position {
        let rank = rank(start: Timestamp(task.startMs), scheduledAt: Timestamp(task.scheduledAtMs), priority: task.priority)
        return Position(order: rank, arrival: task.jobArrival, job: job.id)
    }

    /// The same of a stored job, whose task may stand there.
    func position(_ job: JobReference, _ stored: StoredJob, start: Timestamp) -> Position {
        let rank = rank(start: start, scheduledAt: stored.scheduledAt, priority: stored.job.priority)
        return Position(order: rank, arrival: stored.job.arrival, job: job.id)
    }

    /// The order of those who wait: by priority, raised slowly by waiting, then by time. Time that had passed before somebody
    /// came was not waited: a start in the past is no better than one now.
    func rank(start: Timestamp, scheduledAt: Timestamp, priority: UInt32) -> UInt64 {
        let waits = UInt64(priority) * settings.agingMillisecondsPerPriority
        let (sum, overflow) = max(start, scheduledAt).sortable.addingReportingOverflow(waits)
        return overflow ? .max : sum
    }

    func placeReady(_ job: JobReference, _ task: StorageV1.Task) {
        let pending = PendingTask(position(job, task), task)
        put(job.keys.ready(job.queue.id.group, pending.position), task.serializedBytes())
        afterwards { memory in
            memory.addReady(pending, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    /// - Parameter due: when the timer fires: at the date of the task's start, or when the length of time has passed that the
    ///   job's status tells of.
    func placeTimer(_ job: JobReference, _ task: StorageV1.Task, _ due: Due) {
        let pending = PendingTask(Position(order: due.at.sortable, arrival: task.jobArrival, job: job.id), task)
        put(job.keys.timer(due.axis, job.queue.id.group, pending.position), task.serializedBytes())
        afterwards { memory in
            memory.addTimer(pending, due.axis, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    /// Puts a job into the line of those that ask for the same, which waits at the limit that has no room.
    func placeWaiting(_ job: JobReference, _ task: StorageV1.Task, at demand: Demand) async throws(StoreError) {
        let line = try await line(of: task.jobLimits, job.tenant)
        let pending = PendingTask(position(job, task), task)
        put(job.keys.waiting(line.id.line, pending.position), task.serializedBytes())
        afterwards { memory in
            memory.addWaiting(pending, to: line, at: demand)
            job.queue.counts.waiting += 1
            memory.markDirty(job.queue)
        }
    }

    /// Takes the first job of a line out of it.
    func takeFirst(of line: Line, _ pending: PendingTask, _ queue: Queue) {
        delete(line.keys.waiting(line.id.line, pending.position))
        memory.changeWindow(line) { _ = line.window.popFirst() }
        line.countedOut(1, memory.healed)
        line.hasUnwrittenRows = true
        memory.limits.markDirty(line)
        memory.healed.countDown(&queue.counts.waiting)
        memory.markDirty(queue)
        if line.waiting == 0 {
            Probe.lineEndedWithItsLastJob.reached()
            memory.limits.forget(line)
        }
    }

    /// Takes the pending attempt away from wherever it stands, gives up what it holds, and gives it back; nil when it stands
    /// nowhere.
    func takePending(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> StorageV1.Task? {
        guard let start = stored.pendingStart else { return nil }
        let group = job.queue.id.group
        let position = position(job, stored, start: start)

        if let task = try await takeRow(job.keys.ready(group, position), stored) {
            afterwards { memory in
                memory.changeWindow(job.queue) { job.queue.ready.remove(position) }
                memory.healed.countDown(&job.queue.counts.ready)
                job.queue.hasUnwrittenRows = true
                memory.markDirty(job.queue)
            }
            Probe.takenFromReady.reached()
            return try await releasing(task, job)
        }
        if let task = try await takeTimer(job, stored) {
            Probe.takenFromTimer.reached()
            return try await releasing(task, job)
        }
        guard !stored.job.limits.isEmpty else { return nil }
        let line = try await line(of: stored.job.limits, job.tenant)
        guard let task = try await takeRow(job.keys.waiting(line.id.line, position), stored) else { return nil }
        Probe.takenFromLine.reached()
        afterwards { memory in
            memory.changeWindow(line) { line.window.remove(position) }
            line.countedOut(1, memory.healed)
            line.hasUnwrittenRows = true
            memory.limits.markDirty(line)
            if line.waiting == 0 { memory.limits.forget(line) }
            memory.healed.countDown(&job.queue.counts.waiting)
            memory.markDirty(job.queue)
        }
        return task
    }

    /// Takes the pending attempt away from its timer, with what it holds; nil when it has none.
    func takeTimer(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> StorageV1.Task? {
        guard let due = stored.due else { return nil }
        let timer = stored.position(due)
        guard let task = try await takeRow(job.keys.timer(due.axis, job.queue.id.group, timer), stored) else { return nil }
        afterwards { memory in
            memory.changeWindow(job.queue) { job.queue.timers[due.axis].window.remove(timer) }
            memory.healed.countDown(&job.queue.counts[due.axis])
            job.queue.hasUnwrittenRows = true
            memory.markDirty(job.queue)
        }
        return task
    }

    /// A row that cannot be read is set aside; the job's own row says what the attempt is.
    private func takeRow(_ key: Bytes, _ stored: StoredJob) async throws(StoreError) -> StorageV1.Task? {
        guard let bytes = try await get(key) else { return nil }
        if let task = try? StorageV1.Task(serializedBytes: bytes) {
            delete(key)
            return task
        }
        setAside(Row(key: key, value: bytes))
        return task(
            stored.job, attempt: stored.attempt, relative: stored.relativeAttempt, start: stored.pendingStart ?? now,
            scheduledAt: stored.scheduledAt, encodedBytes: stored.jobBytes
        )
    }

    /// Whether the job waits at a limit.
    func isWaiting(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> Bool {
        guard let start = stored.pendingStart, !stored.job.limits.isEmpty else { return false }
        return try await get(job.keys.waiting(LineID(of: stored.job.limits), position(job, stored, start: start))) != nil
    }

    /// Gives the job to a worker. Durable before the worker learns of it.
    /// - Parameter slots: the keys of the limits that it holds a slot of.
    func placeLease(_ job: JobReference, _ task: StorageV1.Task, worker: String, slots: [LimitKey]) -> LiveLease {
        let taskID = TaskID(.random(from: random))
        var record = StorageV1.Lease()
        record.taskId = taskID.uuid.bytes
        record.workerId = worker
        record.taskGroup = job.queue.id.group.text
        record.attempt = task.attempt
        record.relativeAttempt = task.relativeAttempt
        record.startedAtMs = now.milliseconds
        record.startedSteadyMs = steady.milliseconds
        record.expiresAtMs = (steady + settings.leaseMilliseconds).milliseconds
        record.startMs = task.startMs
        record.priority = task.priority
        record.slots = slots.map(\.text)
        record.hold = task.hold
        record.used = task.reserved
        record.unheard = task.unheard
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

    /// The worker that has it was heard: it lasts as long again.
    func renew(_ lease: LiveLease) {
        let expiresAt = steady + settings.leaseMilliseconds
        rewrite(lease) { record in
            record.expiresAtMs = expiresAt.milliseconds
            record.heard = true
        }
        afterwards { _ in lease.expiresAt = expiresAt }
    }

    func removeLease(_ lease: LiveLease) {
        delete(lease.key)
        afterwards { memory in
            memory.leases[lease.taskID] = nil
            memory.healed.countDown(&lease.queue.counts.leased)
            memory.markDirty(lease.queue)
        }
    }

    /// Puts a finished job into its place in the index.
    func placeFinished(_ job: JobReference, _ state: StorageV1.JobState, at time: Timestamp, expiresAt: Timestamp?) {
        put(job.keys.finished(UInt8(state.rawValue), time, job.id), [], expiresAt: expiresAt)
        afterwards { memory in
            job.queue.counts[state] += 1
            memory.completedJobs += 1
            memory.markDirty(job.queue)
        }
    }

    func removeFinished(_ job: JobReference, _ status: StorageV1.Status) {
        delete(job.keys.finished(UInt8(status.state.rawValue), Timestamp(status.changedAtMs), job.id))
        afterwards { memory in
            memory.healed.countDown(&job.queue.counts[status.state])
            memory.completedJobs -= 1
            memory.markDirty(job.queue)
        }
    }
}

extension StorageV1.QueueCounts {
    /// Jobs in a finished state.
    subscript(_ state: StorageV1.JobState) -> UInt64 {
        get {
            switch state {
            case .succeeded: succeeded
            case .failed: failed
            case .cancelled: cancelled
            default: 0
            }
        }
        set {
            switch state {
            case .succeeded: succeeded = newValue
            case .failed: failed = newValue
            case .cancelled: cancelled = newValue
            default: break
            }
        }
    }
}
