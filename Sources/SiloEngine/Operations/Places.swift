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
    func task(_ job: StorageV1.Job, attempt: UInt32, relative: UInt32, start: Timestamp, encodedBytes: Int) -> StorageV1.Task {
        var task = StorageV1.Task()
        task.attempt = attempt
        task.relativeAttempt = relative
        task.startMs = start.milliseconds
        task.priority = job.priority
        if encodedBytes <= settings.inlineJobBytesMax {
            task.job = job
        } else {
            task.limits = job.limits
            task.taskGroup = job.taskGroup
        }
        return task
    }

    /// Where a task stands among others: by priority, raised slowly by waiting, then by time.
    func rank(_ task: StorageV1.Task) -> UInt64 { rank(start: Timestamp(task.startMs), priority: task.priority) }

    func rank(start: Timestamp, priority: UInt32) -> UInt64 {
        let (sum, overflow) = start.sortable.addingReportingOverflow(UInt64(priority) * settings.agingMillisecondsPerPriority)
        return overflow ? .max : sum
    }

    func placeReady(_ job: JobReference, _ task: StorageV1.Task) {
        let pending = PendingTask(Position(order: rank(task), job: job.id), task)
        put(job.keys.ready(job.queue.id.group, pending.position.order, job.id), task.serializedBytes())
        afterwards { memory in
            memory.addReady(pending, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    /// - Parameter due: when the timer fires; the job's status says so too when that is not the task's start.
    func placeTimer(_ job: JobReference, _ task: StorageV1.Task, due: Timestamp) {
        let pending = PendingTask(Position(order: due.sortable, job: job.id), task)
        put(job.keys.timer(job.queue.id.group, pending.position.order, job.id), task.serializedBytes())
        afterwards { memory in
            memory.addTimer(pending, to: job.queue)
            memory.markDirty(job.queue)
        }
    }

    /// Puts a job into the line of those that ask for the same, which waits at the limit that has no room.
    func placeWaiting(_ job: JobReference, _ task: StorageV1.Task, at demand: Demand) async throws(StoreError) {
        let line = try await line(of: task.jobLimits, job.tenant)
        let pending = PendingTask(Position(order: rank(task), job: job.id), task)
        put(job.keys.waiting(line.id.line, pending.position.order, job.id), task.serializedBytes())
        afterwards { memory in
            memory.addWaiting(pending, to: line, at: demand)
            job.queue.counts.waiting += 1
            memory.markDirty(job.queue)
        }
    }

    /// Takes the first job of a line out of it.
    func takeFirst(of line: Line, _ pending: PendingTask, _ queue: Queue) {
        delete(line.keys.waiting(line.id.line, pending.position.order, pending.position.job))
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
        let order = rank(start: start, priority: stored.job.priority)
        let position = Position(order: order, job: job.id)

        if let task = try await takeRow(job.keys.ready(group, order, job.id), stored) {
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
        guard let task = try await takeRow(job.keys.waiting(line.id.line, order, job.id), stored) else { return nil }
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
        guard let due = stored.due ?? stored.pendingStart else { return nil }
        let timer = Position(order: due.sortable, job: job.id)
        guard let task = try await takeRow(job.keys.timer(job.queue.id.group, timer.order, job.id), stored) else { return nil }
        afterwards { memory in
            memory.changeWindow(job.queue) { job.queue.timers.remove(timer) }
            memory.healed.countDown(&job.queue.counts.timers)
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
            encodedBytes: stored.jobBytes
        )
    }

    /// Whether the job waits at a limit.
    func isWaiting(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> Bool {
        guard let start = stored.pendingStart, !stored.job.limits.isEmpty else { return false }
        let order = rank(start: start, priority: stored.job.priority)
        return try await get(job.keys.waiting(LineID(of: stored.job.limits), order, job.id)) != nil
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
        record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds
        record.startMs = task.startMs
        record.priority = task.priority
        record.slots = slots.map(\.text)
        record.hold = task.hold
        record.used = task.reserved
        record.unheard = task.unheard
        let lease = LiveLease(
            taskID: taskID, job: job.id, queue: job.queue, record: record, expiresAt: steady + settings.leaseMilliseconds
        )
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
            record.expiresAtMs = (now + settings.leaseMilliseconds).milliseconds
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
