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
    /// Since when the attempt could have started but for its limits and its workers, as the wall clock showed it.
    public var dueAt = Timestamp(0)

    /// Bytes that it takes in an answer, at most.
    public var answerBytes: Int { Self.answerBytes(job, of: tenant) }

    static func answerBytes(_ job: StorageV1.Job, of tenant: Tenant) -> Int {
        fixedBytes + job.answerBytes + job.id.utf8.count + job.taskGroup.utf8.count + tenant.name.utf8.count
            + entryBytes * (job.metadata.count + job.limits.count) + (job.trace.isEmpty ? 0 : traceBytes + job.trace.count)
    }

    /// A `traceparent`; the state beside it comes as it is stored.
    private static let traceBytes = 64
    /// Ids, numbers and the marks of fields.
    private static let fixedBytes = 256
    /// The same of one limit or one entry of metadata.
    private static let entryBytes = 128

    /// A failure of this attempt would not be retried.
    public var isLastAttempt: Bool { relativeAttempt > job.retryPolicy?.retryCount ?? 0 }
}

extension LeasedTask {
    /// - Parameter scheduledAt: when this attempt was scheduled.
    init(_ job: StorageV1.Job, _ lease: LiveLease, of tenant: Tenant, scheduledAt: Timestamp) {
        self.init(
            id: lease.taskID, tenant: tenant, job: job, attempt: lease.record.attempt,
            relativeAttempt: lease.record.relativeAttempt, dueAt: max(Timestamp(lease.record.startMs), scheduledAt)
        )
    }
}

/// What a worker gets: tasks of jobs, and refreshes of floating limits, which come besides.
public struct Leased: Sendable {
    public var tasks: [LeasedTask] = []
    public var refreshes: [LeasedRefresh] = []
    /// There was more, and the store did not answer.
    var obstacle: StoreError?

    public init() {}

    public var isEmpty: Bool { tasks.isEmpty && refreshes.isEmpty }
    /// What `Release` takes.
    public var ids: [TaskID] { tasks.map(\.id) + refreshes.map(\.id) }
}

/// Gives a worker up to `taskCountMax` ready tasks of a group: tenants in turn, each tenant's by priority and time. A worker that
/// may take the tasks of some tenants alone gets theirs in the order of their turns.
public struct Lease: Duty {
    public let worker: String
    public let group: TaskGroup
    /// Whose tasks it may take; nil: everybody's.
    public let tenants: Set<Tenant>?
    public let taskCountMax: Int
    /// Of the answer.
    public let answerBytesMax: Int
    /// The first task may be larger than that by itself, for else nobody would ever get it.
    public let takesOversized: Bool

    public init(
        worker: String, group: String, tenants: Set<Tenant>? = nil, taskCountMax: Int, answerBytesMax: Int = .max,
        takesOversized: Bool = true
    ) {
        self.worker = worker
        self.group = TaskGroup(group)
        self.tenants = tenants
        self.taskCountMax = taskCountMax
        self.answerBytesMax = answerBytesMax
        self.takesOversized = takesOversized
    }

    /// What workers ask for that shall get nothing: no job can be of it, and nobody counts them as asking.
    package static let quiet = TaskGroup("")

    /// With its places among those that wait.
    public var contentBytes: Int { worker.utf8.count + group.text.utf8.count + 64 * (tenants?.count ?? 0) }

    package func run(in transaction: Transaction) async throws(StoreError) -> Leased {
        let memory = transaction.memory
        var leased = Leased()
        guard taskCountMax > 0 else { return leased }
        leased.refreshes = try await transaction.refreshes.lease(self)
        var answerBytes = leased.refreshes.reduce(0) { $0 + $1.answerBytes }
        var turnedBack = 0
        var samples: [LeaseSample] = []
        var turns = tenants.map { BoundTurns(of: $0, in: group, memory) }
        func nextQueue() -> Queue? { turns == nil ? memory.nextQueue(in: group) : turns?.next(in: memory) }
        while leased.tasks.count < taskCountMax, let queue = nextQueue() {
            guard let (reference, job, task) = try await take(from: queue, &leased.obstacle, in: transaction) else {
                if leased.obstacle == nil { continue }
                for kind in kinds { memory.news.lookAgain(for: kind) }
                break
            }
            if try await turnsBack(reference, task, in: transaction) {
                turnedBack += 1
                if turnedBack < transaction.settings.turnedBackMax { continue }
                for kind in kinds { memory.news.lookAgain(for: kind) }
                break
            }
            answerBytes += LeasedTask.answerBytes(job, of: reference.tenant)
            if answerBytes > answerBytesMax, !leased.isEmpty || !takesOversized {
                transaction.reached(.oversizedTaskPutBack)
                transaction.ready.add(reference, task)
                break
            }
            memory.pay(queue)
            // What was read before may have taken long: the lease begins now.
            transaction.begin()
            try await transaction.limits.useHits(task, reference)
            let slots = task.hold == nil ? [] : job.limits.slotKeys
            let lease = transaction.leases.add(reference, task, Kept(job), worker: worker, slots: slots)
            leased.tasks.append(LeasedTask(
                job, lease, of: reference.tenant, scheduledAt: Timestamp(task.scheduledAtMs)
            ))
            samples.append(LeaseSample(of: task, job, at: transaction.now))
        }
        guard group != Self.quiet else { return leased }
        memory.polls.note(group, tasks: leased.tasks.count, at: transaction.steady)
        memory.levels.measured.asked(for: group, at: transaction.steady)
        memory.tally.add(samples, of: group)
        return leased
    }

    /// Takes the first ready task of a queue, with its job. Nil when there is none, or when the job's row is gone or cannot be
    /// read: then the task is dropped.
    /// - Parameter obstacle: is set when the store does not answer: then the task stays.
    private func take(
        from queue: Queue, _ obstacle: inout StoreError?, in transaction: Transaction
    ) async throws(StoreError) -> (JobReference, StorageV1.Job, StorageV1.Task)? {
        guard try await transaction.ready.haveFirstAtHand(of: queue) else {
            obstacle = transaction.rest?.error
            return nil
        }
        guard let pending = try await transaction.ready.takeFirst(of: queue) else { return nil }
        let reference = JobReference(id: pending.position.job, queue: queue)
        guard try await haveAtHand(toTurnBack: pending.record, reference, in: transaction) else {
            obstacle = transaction.rest?.error
            transaction.ready.add(reference, pending.record)
            return nil
        }
        if let job = pending.record.job { return (reference, job, pending.record) }
        let key = queue.keys.job(reference.id)
        transaction.reached(.jobReadBesideTask)
        guard let read = try await transaction.ifAnswered({ () async throws(StoreError) in try await transaction.rows.get(key) })
        else {
            obstacle = transaction.rest?.error
            transaction.ready.add(reference, pending.record)
            return nil
        }
        if let bytes = read {
            if let job = try? StorageV1.Job(serializedBytes: bytes) { return (reference, job, pending.record) }
            transaction.setAside(Row(key: key, value: bytes))
        }
        transaction.memory.healed.note(.jobMissing)
        _ = try await transaction.limits.releasing(pending.record, reference)
        transaction.memory.totalJobs -= 1
        return nil
    }

    /// Sends a ready job back that must not start, though it was let in: one of its limits has been paused since, or the holders
    /// of one were dropped.
    private func turnsBack(
        _ job: JobReference, _ task: StorageV1.Task, in transaction: Transaction
    ) async throws(StoreError) -> Bool {
        if let paused = try await pausedLimit(of: task, job, in: transaction) {
            try await turnBack(job, task, at: paused, in: transaction)
            return true
        }
        guard try await lacksSlot(task, job, in: transaction) else { return false }
        transaction.reached(.dropAdmitsAnew)
        let ready = job.queue.counts.ready
        try await transaction.admission.admitAgain(job, try await transaction.limits.releasing(task, job))
        // One that is ready again has its turn still.
        if job.queue.counts.ready == ready { transaction.memory.pay(job.queue) }
        return true
    }

    /// Holders of the tenant, of some key or of all, were dropped since the task became ready.
    private func mayLackSlots(_ task: StorageV1.Task, of tenant: Tenant, _ transaction: Transaction) -> Bool {
        task.slotHold.map { $0 != transaction.memory.limits.hold(of: tenant) } ?? false
    }

    /// The holders of one of its own keys were.
    private func lacksSlot(
        _ task: StorageV1.Task, _ job: JobReference, in transaction: Transaction
    ) async throws(StoreError) -> Bool {
        guard mayLackSlots(task, of: job.tenant, transaction), let hold = task.slotHold else { return false }
        for key in task.jobLimits.slotKeys where try await !hold.isGood(of: transaction.limits.slot(key, of: job.tenant)) {
            return true
        }
        return false
    }

    /// Has at hand what tells whether such a task is let in anew, and what that reads. False: the store does not answer.
    private func haveAtHand(
        toTurnBack task: StorageV1.Task, _ job: JobReference, in transaction: Transaction
    ) async throws(StoreError) -> Bool {
        guard mayLackSlots(task, of: job.tenant, transaction) else { return true }
        guard try await transaction.haveAtHand(transaction.unread(task.jobLimits.slotKeys, of: job.tenant)) else { return false }
        guard try await lacksSlot(task, job, in: transaction) else { return true }
        return try await transaction.haveAtHand(
            transaction.unread(task.jobLimits, of: job.tenant) + [job.keys.status(job.id)])
    }

    /// The first of the limits whose slots a ready task holds that is paused: the job must not start.
    private func pausedLimit(
        of task: StorageV1.Task, _ job: JobReference, in transaction: Transaction
    ) async throws(StoreError) -> Demand? {
        guard task.hold != nil, transaction.memory.limits.pauses.hasLimits else { return nil }
        for demand in try await transaction.limits.demands(of: task.jobLimits, job.tenant) {
            if case .slot(let limit, _) = demand, limit.isPaused { return demand }
        }
        return nil
    }

    /// Puts a ready job back into line at a limit that is paused. It has had its turn.
    private func turnBack(
        _ job: JobReference, _ task: StorageV1.Task, at paused: Demand, in transaction: Transaction
    ) async throws(StoreError) {
        transaction.reached(.pausedLimitTurnsReadyJobBack)
        try await transaction.lines.add(job, try await transaction.limits.releasing(task, job), at: paused)
        transaction.memory.pay(job.queue)
    }
}

extension LeaseSample {
    fileprivate init(of task: StorageV1.Task, _ job: StorageV1.Job, at now: Timestamp) {
        sinceStored = max(0, now - Timestamp(job.createdAtMs))
        sinceStart = max(0, now - Timestamp(task.startMs))
        isRetry = task.relativeAttempt > 1
    }
}

extension StorageV1.Job {
    /// Bytes that its task takes in an answer, but for ids.
    public var answerBytes: Int { payload.count + metadata.textBytes + limits.textBytes }
}
