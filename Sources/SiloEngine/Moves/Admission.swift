import Protobuf
import SiloCore
import SiloStore

/// The one way into the ready queue: enqueues, timers, retries, restarts, expedites and imports all pass here.
struct Admission: Part {
    let transaction: Transaction

    /// Makes the job's pending attempt due: when its time comes, or now.
    /// - Parameter delay: the end of the length of time that it waits for, as its status says; nil: it waits for the date of its
    ///   start.
    func admit(_ job: JobReference, _ task: StorageV1.Task, after delay: Due? = nil) async throws(StoreError) {
        let due = delay ?? .date(Timestamp(task.startMs))
        guard due.hasCome(by: moment) else { return timers.add(job, task, due) }
        try await admitDue(job, task)
    }

    /// Lets a job in whose time has come, as its limits allow. It came once and for all, whatever the clock of the next machine
    /// says of its start.
    ///
    /// A job takes all that its limits ask for in one step or nothing: then it waits at the first limit that has no room.
    func admitDue(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        guard !task.jobLimits.isEmpty else { return ready.add(job, task) }
        let demands = try await limits.demands(of: task.jobLimits, job.tenant)
        switch limits.verdict(demands, in: nil, isNewcomer: true) {
        case .free:
            memory.tally.grantedAtOnce += 1
            try await accept(job, task, demands)
        case .blocked(.hits(let limit, let rate), let dueAt) where rate.maxRetries > 0:
            limits.drain(limit, rate)
            try await putOff(job, task, rate, roomAt: dueAt)
        case .blocked(let demand, let dueAt):
            if case .hits(let limit, let rate) = demand { limits.drain(limit, rate) }
            limits.note(demand, dueAt, group: job.group)
            try await lines.add(job, task, at: demand)
        }
    }

    /// Admits a job that was leased and has not run. It goes by its rank; one that cannot wait in line, because it asks only so
    /// often, goes before those that do and is not counted as refused.
    func admitAgain(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        let demands = try await limits.demands(of: task.jobLimits, job.tenant)
        let canWait = task.jobLimits.rates.allSatisfy { $0.maxRetries == 0 }
        switch limits.verdict(demands, in: nil, isNewcomer: canWait) {
        case .free:
            memory.tally.grantedAtOnce += 1
            try await accept(job, task, demands)
        case .blocked(.hits(_, let rate), let dueAt) where rate.maxRetries > 0:
            let wait = wait(rate, after: 0, roomAt: dueAt, least: settings.rateRetryLeastMilliseconds)
            try await putOff(job, task, by: wait, isRefusal: false)
        case .blocked(let demand, let dueAt):
            limits.note(demand, dueAt, group: job.group)
            try await lines.add(job, task, at: demand)
        }
    }

    /// Takes everything that the job needs, and makes it ready; or has an external limiter asked first.
    func accept(_ job: JobReference, _ task: StorageV1.Task, _ demands: [Demand]) async throws(StoreError) {
        var task = task
        task.slotHold = memory.limits.hold(of: job.tenant)
        for demand in demands {
            if case .slot(let limit, _) = demand { limits.take(limit) }
        }
        if settings.asksRateLimiter, let check = task.nextCheck {
            return try await ask(check, job, task)
        }
        for demand in demands {
            guard case .hits(let limit, let rate) = demand else { continue }
            limits.change(limit) { $0.reserve(rate, at: moment) }
            task.reserved = true
        }
        ready.add(job, task)
    }

    /// A rate limit has no room for a job that asks only so often: it comes back later, or fails (spec/limits.md 8).
    /// - Parameter roomAt: when there will be room, if that is known.
    func putOff(
        _ job: JobReference, _ task: StorageV1.Task, _ rate: StorageV1.RateLimit, roomAt: Due?
    ) async throws(StoreError) {
        guard rate.maxRetries == 0 || task.rateChecks < rate.maxRetries else {
            reached(.rateExhausted)
            return try await fail(job, task, rate)
        }
        reached(.ratePutOff)
        // Whoever would come back at once, again and again, leaves some time to others.
        let isHasty = rate.maxRetries == 0 || task.rateChecks >= Self.hastyChecksMax
        let least = isHasty ? settings.rateRetryLeastMilliseconds : 0
        try await putOff(job, task, by: wait(rate, after: task.rateChecks, roomAt: roomAt, least: least))
    }

    /// Refusals up to which a job may come back without a pause.
    private static let hastyChecksMax: UInt32 = 10

    /// How long a refused job stays away: until there will be room, if that is soon, or else for its backoff.
    private func wait(_ rate: StorageV1.RateLimit, after checks: UInt32, roomAt: Due?, least: Int64) -> Int64 {
        if let wait = roomAt?.wait(from: moment), wait > 0, wait < max(0, rate.maxBackoffMs) { return wait }
        return max(least, rate.backoff(after: checks))
    }

    /// The job is admitted again after some milliseconds. Its rank still comes from its start.
    /// - Parameter isRefusal: it counts as one of the refusals that the job bears.
    func putOff(
        _ job: JobReference, _ task: StorageV1.Task, by wait: Int64, isRefusal: Bool = true
    ) async throws(StoreError) {
        var task = task
        task.slotHold = nil
        task.reserved = false
        if isRefusal { task.rateChecks += 1 }
        try await delay(job, task, by: wait)
    }

    /// Places the job at a timer for some milliseconds.
    /// - Returns: when that is due.
    @discardableResult
    func delay(_ job: JobReference, _ task: StorageV1.Task, by wait: Int64) async throws(StoreError) -> Due {
        let due = Due.delay(until: steady + wait)
        try await retarget(job, task, due)
        timers.add(job, task, due)
        return due
    }

    /// Writes into the job's status for how long the job waits; nil: it does not any more.
    func retarget(_ job: JobReference, _ task: StorageV1.Task, _ delay: Due?) async throws(StoreError) {
        var status = StorageV1.Status()
        if let stored: StorageV1.Status = try await transaction.record(job.keys.status(job.id)) {
            status = stored
        } else {
            status.state = .scheduled
            status.changedAtMs = task.scheduledAtMs
            status.attempt = task.attempt
            status.relativeAttempt = task.relativeAttempt
            status.startMs = task.startMs
        }
        status.dueMs = delay?.at.milliseconds
        rows.put(job.keys.status(job.id), status.serializedBytes())
    }

    /// Ends the job: its rate limit had no room as often as the job would ask.
    private func fail(_ job: JobReference, _ task: StorageV1.Task, _ rate: StorageV1.RateLimit) async throws(StoreError) {
        var attempt = StorageV1.Attempt()
        attempt.number = task.attempt
        attempt.relativeNumber = task.relativeAttempt
        attempt.taskId = UUID.random(from: transaction.random).bytes
        attempt.startedAtMs = now.milliseconds
        attempt.finishedAtMs = now.milliseconds
        attempt.outcome = .failed
        attempt.errorCode = "RATE_LIMITED"
        attempt.errorData = messagePack(
            "rate limit \(rate.name)/\(rate.uniqueKey) had no room \(UInt64(task.rateChecks) + 1) times; the limit allows "
                + "\(rate.maxRetries) retries"
        )
        let end = JobEnd(
            state: .failed, attempt: task.attempt, relative: task.relativeAttempt, kept: try await kept(job, task),
            lastAttempt: attempt
        )
        finished.add(job, end)
    }

    private func kept(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) -> Kept {
        if let job = task.job { return Kept(job) }
        let stored = try await rows.get(job.keys.job(job.id)).flatMap { try? StorageV1.Job(serializedBytes: $0) }
        return Kept(stored ?? StorageV1.Job())
    }

    // MARK: External limiters

    /// Asks the external limiter, once the batch is written. Meanwhile the job stands at a timer, with the slots it took; when no
    /// answer comes, the timer fires, the slots are given up and everything is asked anew. So an outage delays jobs and loses
    /// none.
    func ask(_ rate: StorageV1.RateLimit, _ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        let due = try await delay(job, task, by: settings.rateAnswerMilliseconds)
        let pending = PendingCheck(
            tenant: job.tenant, job: job.id, attempt: task.attempt, index: task.ratesPassed, due: due,
            createdAt: try await created(job, task),
            check: RateCheck(rate)
        )
        memory.checks.append(pending)
    }

    private func created(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) -> Timestamp {
        if let job = task.job { return Timestamp(job.createdAtMs) }
        let stored = try await rows.get(job.keys.job(job.id)).flatMap { try? StorageV1.Job(serializedBytes: $0) }
        return Timestamp(stored?.createdAtMs ?? 0)
    }
}

extension StorageV1.RateLimit {
    /// The wait after `checks` refusals, in milliseconds.
    func backoff(after checks: UInt32) -> Int64 {
        let wait = Double(initialBackoffMs) * power(backoffMultiplier, checks)
        return max(0, min(saturated(wait), maxBackoffMs))
    }
}
