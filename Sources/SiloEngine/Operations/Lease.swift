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

    /// Bytes that it takes in an answer, at most.
    public var answerBytes: Int { Self.answerBytes(job, of: tenant) }

    static func answerBytes(_ job: StorageV1.Job, of tenant: Tenant) -> Int {
        fixedBytes + job.answerBytes + job.id.utf8.count + job.taskGroup.utf8.count + tenant.name.utf8.count
            + entryBytes * (job.metadata.count + job.limits.count)
    }

    /// Ids, numbers and the marks of fields.
    private static let fixedBytes = 256
    /// The same of one limit or one entry of metadata.
    private static let entryBytes = 128

    /// A failure of this attempt would not be retried.
    public var isLastAttempt: Bool { relativeAttempt > job.retryPolicy?.retryCount ?? 0 }
}

/// What a worker gets: tasks of jobs, and refreshes of floating limits, which come besides.
public struct Leased: Sendable {
    public var tasks: [LeasedTask] = []
    public var refreshes: [LeasedRefresh] = []

    public init() {}

    public var isEmpty: Bool { tasks.isEmpty && refreshes.isEmpty }
    /// What `GiveBack` takes.
    public var ids: [TaskID] { tasks.map(\.id) + refreshes.map(\.id) }
}

/// Gives a worker up to `taskCountMax` ready tasks of a group: tenants in turn, each tenant's by priority and time.
public struct Lease: Command {
    public let worker: String
    public let group: TaskGroup
    public let taskCountMax: Int
    /// Of the answer.
    public let answerBytesMax: Int
    /// The first task may be larger than that by itself, for else nobody would ever get it.
    public let takesOversized: Bool

    public init(
        worker: String, group: String, taskCountMax: Int, answerBytesMax: Int = .max, takesOversized: Bool = true
    ) {
        self.worker = worker
        self.group = TaskGroup(group)
        self.taskCountMax = taskCountMax
        self.answerBytesMax = answerBytesMax
        self.takesOversized = takesOversized
    }

    public var contentBytes: Int { worker.utf8.count + group.text.utf8.count }

    public func run(in transaction: Transaction) async throws -> Leased {
        var leased = Leased()
        guard taskCountMax > 0 else { return leased }
        leased.refreshes = try await transaction.leaseRefreshes(group, worker: worker, bytesMax: answerBytesMax)
        var answerBytes = leased.refreshes.reduce(0) { $0 + $1.answerBytes }
        var turnedBack = 0
        while leased.tasks.count < taskCountMax, let queue = transaction.memory.nextQueue(in: group) {
            guard let pending = try await transaction.takeReady(queue) else { continue }
            guard let job = try await transaction.job(of: pending, queue) else { continue }
            let reference = JobReference(id: pending.position.job, queue: queue)
            if let paused = try await transaction.pausedLimit(of: pending.record, reference) {
                Probe.pausedLimitTurnsReadyJobBack.reached()
                try await transaction.placeWaiting(
                    reference, try await transaction.releasing(pending.record, reference), at: paused)
                queue.deficit -= 1
                turnedBack += 1
                guard turnedBack < transaction.settings.turnedBackMax else {
                    transaction.memory.lookAgain(for: group)
                    break
                }
                continue
            }
            answerBytes += LeasedTask.answerBytes(job, of: reference.tenant)
            if answerBytes > answerBytesMax, !leased.isEmpty || !takesOversized {
                Probe.oversizedTaskPutBack.reached()
                transaction.placeReady(reference, pending.record)
                break
            }
            queue.deficit -= 1
            // What was read before may have taken long: the lease begins now.
            transaction.begin()
            leased.tasks.append(try await transaction.lease(job, reference, pending.record, worker))
        }
        transaction.memory.polls.note(group, tasks: leased.tasks.count, at: transaction.steady)
        return leased
    }
}

extension Transaction {
    /// Makes a ready task the worker's, with the slots that it holds.
    fileprivate func lease(
        _ job: StorageV1.Job, _ reference: JobReference, _ task: StorageV1.Task, _ worker: String
    ) async throws(StoreError) -> LeasedTask {
        try await useHits(task, reference)
        return lease(job, reference, task, worker, slots: task.hold == nil ? [] : job.limits.slotKeys)
    }

    func lease(
        _ job: StorageV1.Job, _ reference: JobReference, _ task: StorageV1.Task, _ worker: String, slots: [LimitKey]
    ) -> LeasedTask {
        let lease = placeLease(reference, task, worker: worker, slots: slots)
        return LeasedTask(
            id: lease.taskID, tenant: reference.tenant, job: job, attempt: task.attempt, relativeAttempt: task.relativeAttempt
        )
    }

    /// Takes the first ready task of a queue. Nil when its count promised one that is not stored.
    fileprivate func takeReady(_ queue: Queue) async throws(StoreError) -> PendingTask? {
        if queue.ready.isEmpty { try await loadReady(queue) }
        var taken: PendingTask?
        memory.changeWindow(queue) { taken = queue.ready.popFirst() }
        guard let pending = taken else {
            memory.healed.note(.readyMissing)
            queue.counts.ready = 0
            memory.markDirty(queue)
            return nil
        }
        delete(queue.keys.ready(queue.id.group, pending.position))
        memory.healed.countDown(&queue.counts.ready)
        memory.markDirty(queue)
        return pending
    }

    /// The job of a task that was taken. Nil when the job's row is gone or cannot be read: the task is dropped.
    fileprivate func job(of pending: PendingTask, _ queue: Queue) async throws(StoreError) -> StorageV1.Job? {
        if let job = pending.record.job { return job }
        let key = queue.keys.job(pending.position.job)
        Probe.jobReadBesideTask.reached()
        if let bytes = try await get(key) {
            if let job = try? StorageV1.Job(serializedBytes: bytes) { return job }
            setAside(Row(key: key, value: bytes))
        }
        memory.healed.note(.jobMissing)
        _ = try await releasing(pending.record, JobReference(id: pending.position.job, queue: queue))
        memory.totalJobs -= 1
        return nil
    }

    /// The first of the limits whose slots a ready task holds that is paused: the job must not start.
    fileprivate func pausedLimit(of task: StorageV1.Task, _ job: JobReference) async throws(StoreError) -> Demand? {
        guard task.hold != nil, memory.limits.pauses.hasLimits else { return nil }
        for demand in try await demands(of: task.jobLimits, job.tenant) {
            if case .slot(let limit, _) = demand, limit.isPaused { return demand }
        }
        return nil
    }
}

extension StorageV1.Job {
    /// Bytes that its task takes in an answer, but for ids.
    public var answerBytes: Int { payload.count + metadata.textBytes + limits.textBytes }
}
