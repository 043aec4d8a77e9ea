import Protobuf
public import SiloCore
public import SiloStore

/// A task as a worker gets it.
public struct LeasedTask: Sendable {
    public let id: TaskID
    public let tenant: Tenant
    public let job: StorageV1.Job
    public let attempt: UInt32
    public let relativeAttempt: UInt32

    /// A failure of this attempt would not be retried.
    public var isLastAttempt: Bool { relativeAttempt > job.retryPolicy?.retryCount ?? 0 }
}

/// Gives a worker up to `taskCountMax` ready tasks of a group: tenants in turn, each tenant's by priority and time.
public struct Lease: Command {
    public let worker: String
    public let group: TaskGroup
    public let taskCountMax: Int
    /// Payloads of one answer together.
    public let payloadBytesMax: Int
    /// The first task may be larger than that by itself, for else nobody would ever get it.
    public let takesOversized: Bool

    public init(
        worker: String, group: String, taskCountMax: Int, payloadBytesMax: Int = .max, takesOversized: Bool = true
    ) {
        self.worker = worker
        self.group = TaskGroup(group)
        self.taskCountMax = taskCountMax
        self.payloadBytesMax = payloadBytesMax
        self.takesOversized = takesOversized
    }

    public func run(in transaction: Transaction) async throws -> [LeasedTask] {
        var leased: [LeasedTask] = []
        var payloadBytes = 0
        while leased.count < taskCountMax, let queue = transaction.memory.nextQueue(in: group) {
            guard let pending = try await transaction.takeReady(queue) else { continue }
            guard let job = try await transaction.job(of: pending, queue) else { continue }
            let reference = JobReference(id: pending.position.job, queue: queue)
            payloadBytes += job.answerBytes
            if payloadBytes > payloadBytesMax, !leased.isEmpty || !takesOversized {
                transaction.admit(reference, pending.record)
                break
            }
            queue.deficit -= 1
            leased.append(transaction.lease(job, reference, pending.record, worker))
        }
        return leased
    }
}

extension Transaction {
    /// Makes a task the worker's.
    func lease(_ job: StorageV1.Job, _ reference: JobReference, _ task: StorageV1.Task, _ worker: String) -> LeasedTask {
        let lease = placeLease(reference, task, worker: worker)
        return LeasedTask(
            id: lease.taskID, tenant: reference.queue.id.tenant, job: job,
            attempt: task.attempt, relativeAttempt: task.relativeAttempt
        )
    }

    /// Takes the first ready task of a queue. Nil when its count promised one that is not stored.
    fileprivate func takeReady(_ queue: Queue) async throws(StoreError) -> PendingTask? {
        if queue.ready.isEmpty { try await loadReady(queue) }
        var taken: PendingTask?
        memory.changeWindow(queue) { taken = $0.ready.popFirst() }
        guard let pending = taken else {
            queue.counts.ready = 0
            memory.markDirty(queue)
            return nil
        }
        delete(queue.keys.ready(queue.id.group, pending.position.order, pending.position.job))
        queue.counts.ready.countDown()
        memory.markDirty(queue)
        return pending
    }

    /// The job of a task that was taken. Nil when the job's row is gone or cannot be read: the task is dropped.
    fileprivate func job(of pending: PendingTask, _ queue: Queue) async throws(StoreError) -> StorageV1.Job? {
        if let job = pending.record.job { return job }
        let key = queue.keys.job(pending.position.job)
        if let bytes = try await get(key) {
            if let job = try? StorageV1.Job(serializedBytes: bytes) { return job }
            setAside(Row(key: key, value: bytes))
        }
        memory.totalJobs -= 1
        return nil
    }

    /// Fills the empty ready window of a queue from the store.
    private func loadReady(_ queue: Queue) async throws(StoreError) {
        guard let frontier = queue.ready.frontier else { return }
        let range = queue.keys.ready(queue.id.group, from: frontier.order, frontier.job)
        let page = try await loadPage(queue, range, stored: queue.counts.ready)
        memory.changeWindow(queue) { $0.ready.load(page.tasks, next: page.next) }
        queue.counts.ready.countDown(by: page.setAside)
        memory.shrinkWindows(keeping: queue)
    }

    /// Fills the empty timer window of a queue from the store.
    func loadTimers(_ queue: Queue) async throws(StoreError) {
        guard let frontier = queue.timers.frontier else { return }
        let range = queue.keys.timers(queue.id.group, from: frontier.order, frontier.job)
        let page = try await loadPage(queue, range, stored: queue.counts.timers)
        memory.changeWindow(queue) { $0.timers.load(page.tasks, next: page.next) }
        queue.counts.timers.countDown(by: page.setAside)
        memory.shrinkWindows(keeping: queue)
    }

    private struct Page {
        var tasks: [PendingTask] = []
        var next: Position?
        var setAside: UInt64 = 0
    }

    /// Reads the first pending tasks of a range, a page at a time until there are some or the range ends. A row that cannot
    /// be read is set aside, so that it does not block the rest.
    /// - Parameter stored: how many rows there should be: a short page costs far less to read.
    private func loadPage(
        _ queue: Queue, _ range: (start: Bytes, end: Bytes), stored: UInt64
    ) async throws(StoreError) -> Page {
        var page = Page()
        // One more than there should be shows that the range has ended.
        let limit = min(settings.pageRows, Int(clamping: stored) &+ 1)
        var start: Bytes? = range.start
        while let from = start, page.tasks.isEmpty {
            let (rows, next) = try await scan(
                from: from, to: range.end, limit: max(2, limit), merging: queue.hasUnwrittenRows
            )
            page.tasks.reserveCapacity(rows.count)
            for row in rows {
                if let (order, job) = queue.keys.parseOrdered(row.key),
                    let record = try? StorageV1.Task(serializedBytes: row.value)
                {
                    page.tasks.append(PendingTask(Position(order: order, job: job), record))
                } else {
                    setAside(row)
                    page.setAside += 1
                    queue.hasUnwrittenRows = true
                    memory.markDirty(queue)
                }
            }
            start = next
        }
        // No job id sorts between the last one and that id followed by a zero byte.
        if start != nil, let last = page.tasks.last?.position {
            page.next = Position(order: last.order, job: JobID(last.job.text + "\0"))
        }
        return page
    }

    private func setAside(_ row: Row) {
        put(ShardKeys.setAside(row.key), row.value)
        delete(row.key)
    }
}

extension StorageV1.Job {
    /// Bytes that its task takes in an answer, but for ids.
    public var answerBytes: Int { metadata.reduce(payload.count) { $0 + $1.key.utf8.count + $1.value.utf8.count } }
}

/// Gives a worker one named job, before its time if need be: a helper for tests (spec/jobs.md 6.12).
public struct LeaseJob: Command {
    public let tenant: Tenant
    public let id: JobID
    public let worker: String

    public init(tenant: Tenant, id: JobID, worker: String) {
        self.tenant = tenant
        self.id = id
        self.worker = worker
    }

    public func run(in transaction: Transaction) async throws -> LeasedTask {
        let (stored, reference) = try await transaction.find(tenant, id)
        func refuse(_ reason: String) -> SiloError { .jobRefused(.lease, id, reason: reason, stored.state) }
        switch stored.state {
        case .running: throw refuse("job is currently running")
        case .succeeded, .failed: throw refuse("job is already in terminal state")
        case .cancelled: throw refuse(stored.cancelledAt != nil ? "job is cancelled" : "job has no pending task")
        case .scheduled: break
        }
        guard let start = stored.nextStart,
            var task = try await transaction.takePending(reference, priority: stored.job.priority, start: start)
        else { throw refuse("job has no pending task in queue") }
        task.relativeAttempt = task.attempt
        return transaction.lease(stored.job, reference, task, worker)
    }
}

/// Puts tasks back that a worker was never told of, as if they had not been leased.
public struct GiveBack: Command {
    public let tasks: [TaskID]

    public init(_ tasks: [TaskID]) {
        self.tasks = tasks
    }

    public func run(in transaction: Transaction) async throws {
        var seen: Set<TaskID> = []
        for id in tasks where seen.insert(id).inserted {
            guard let lease = transaction.memory.leases[id] else { continue }
            let found: (stored: StoredJob, job: JobReference)
            do {
                found = try await transaction.find(lease.queue.id.tenant, lease.job)
            } catch is SiloError {
                // There is nothing to give back to; the others are not held up.
                transaction.removeLease(lease)
                continue
            }
            let (stored, reference) = found
            transaction.removeLease(lease)
            if let cancelledAt = lease.cancelledAt {
                let end = JobEnd(
                    state: .cancelled, attempt: lease.record.attempt, relative: lease.record.relativeAttempt,
                    cancelledAt: cancelledAt
                )
                try await transaction.finish(reference, end)
            } else {
                let task = transaction.task(
                    stored.job, attempt: lease.record.attempt, relative: lease.record.relativeAttempt,
                    start: Timestamp(lease.record.startMs), encodedBytes: stored.jobBytes
                )
                transaction.admit(reference, task)
            }
        }
    }
}
