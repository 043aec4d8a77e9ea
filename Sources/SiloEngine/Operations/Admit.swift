import Protobuf
import SiloCore
import SiloStore

extension Transaction {
    /// Makes the job's pending attempt due: when its time comes, or now.
    /// - Parameter delay: the end of the length of time that it waits for, as its status says; nil: it waits for the date of its
    ///   start.
    func admit(_ job: JobReference, _ task: StorageV1.Task, after delay: Due? = nil) async throws(StoreError) {
        let due = delay ?? .date(Timestamp(task.startMs))
        guard due.hasCome(by: moment) else { return placeTimer(job, task, due) }
        try await admitDue(job, task)
    }

    /// Lets a job in whose time has come, as its limits allow. It came once and for all, whatever the clock of the next machine
    /// says of its start.
    ///
    /// The one way into the ready queue. Enqueue, timers, retries, restarts, expedites and imports all pass here. A job takes
    /// all that its limits ask for in one step or nothing: then it waits at the first limit that has no room.
    func admitDue(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        let limits = task.jobLimits
        guard !limits.isEmpty else { return placeReady(job, task) }

        let demands = try await demands(of: limits, job.tenant)
        switch verdict(demands, in: nil, isNewcomer: true) {
        case .free:
            try await accept(job, task, demands)
        case .blocked(.hits(let limit, let rate), let dueAt) where rate.maxRetries > 0:
            drain(limit, rate)
            try await putOff(job, task, rate, roomAt: dueAt)
        case .blocked(let demand, let dueAt):
            if case .hits(let limit, let rate) = demand { drain(limit, rate) }
            note(demand, dueAt, group: job.queue.id.group)
            try await placeWaiting(job, task, at: demand)
        }
    }

    /// Admits a job that was leased and has not run. It goes by its rank; one that cannot wait in line, because it asks only so
    /// often, goes before those that do and is not counted as refused.
    func admitAgain(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        let demands = try await demands(of: task.jobLimits, job.tenant)
        let canWait = task.jobLimits.rates.allSatisfy { $0.maxRetries == 0 }
        switch verdict(demands, in: nil, isNewcomer: canWait) {
        case .free:
            try await accept(job, task, demands)
        case .blocked(.hits(_, let rate), let dueAt) where rate.maxRetries > 0:
            let wait = wait(rate, after: 0, roomAt: dueAt, least: settings.rateRetryLeastMilliseconds)
            try await putOff(job, task, by: wait, isRefusal: false)
        case .blocked(let demand, let dueAt):
            note(demand, dueAt, group: job.queue.id.group)
            try await placeWaiting(job, task, at: demand)
        }
    }

    /// Takes everything that the job needs, and makes it ready; or has an external limiter asked first.
    func accept(_ job: JobReference, _ task: StorageV1.Task, _ demands: [Demand]) async throws(StoreError) {
        var task = task
        task.hold = memory.limits.dropCount(of: job.tenant)
        for demand in demands {
            if case .slot(let limit, _) = demand { take(limit) }
        }
        if settings.asksRateLimiter, let check = task.nextCheck {
            return try await ask(check, job, task)
        }
        for demand in demands {
            guard case .hits(let limit, let rate) = demand else { continue }
            change(limit) { $0.reserve(rate, at: moment) }
            task.reserved = true
        }
        placeReady(job, task)
    }

    /// A rate limit has no room for a job that asks only so often: it comes back later, or fails (spec/limits.md 8).
    /// - Parameter roomAt: when there will be room, if that is known.
    func putOff(
        _ job: JobReference, _ task: StorageV1.Task, _ rate: StorageV1.RateLimit, roomAt: Due?
    ) async throws(StoreError) {
        guard rate.maxRetries == 0 || task.rateChecks < rate.maxRetries else {
            Probe.rateExhausted.reached()
            return try await fail(job, task, rate)
        }
        Probe.ratePutOff.reached()
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

    /// Has the job come back after some milliseconds. Its rank stays that of its start.
    /// - Parameter isRefusal: it counts as one of the refusals that the job bears.
    func putOff(
        _ job: JobReference, _ task: StorageV1.Task, by wait: Int64, isRefusal: Bool = true
    ) async throws(StoreError) {
        var task = task
        task.hold = nil
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
        placeTimer(job, task, due)
        return due
    }

    /// Has the job's status say for how long the job waits; nil: it does not any more.
    func retarget(_ job: JobReference, _ task: StorageV1.Task, _ delay: Due?) async throws(StoreError) {
        var status = StorageV1.Status()
        if let stored: StorageV1.Status = try await record(job.keys.status(job.id)) {
            status = stored
        } else {
            status.state = .scheduled
            status.changedAtMs = task.scheduledAtMs
            status.attempt = task.attempt
            status.relativeAttempt = task.relativeAttempt
            status.startMs = task.startMs
        }
        status.dueMs = delay?.at.milliseconds
        put(job.keys.status(job.id), status.serializedBytes())
    }

    /// Ends the job: its rate limit had no room as often as the job would ask.
    private func fail(_ job: JobReference, _ task: StorageV1.Task, _ rate: StorageV1.RateLimit) async throws(StoreError) {
        var attempt = StorageV1.Attempt()
        attempt.number = task.attempt
        attempt.relativeNumber = task.relativeAttempt
        attempt.taskId = UUID.random(from: random).bytes
        attempt.startedAtMs = now.milliseconds
        attempt.finishedAtMs = now.milliseconds
        attempt.outcome = .failed
        attempt.errorCode = "RATE_LIMITED"
        attempt.errorData = messagePack(
            "rate limit \(rate.name)/\(rate.uniqueKey) had no room \(UInt64(task.rateChecks) + 1) times; the limit allows "
                + "\(rate.maxRetries) retries"
        )
        try await finish(
            job, JobEnd(state: .failed, attempt: task.attempt, relative: task.relativeAttempt, lastAttempt: attempt)
        )
    }

    /// Looks at the lines of a bucket again when it will have room. The calendar's windows end by the wall clock; should that be
    /// set back meanwhile, they are looked at no later than they would have been without, and then find out how things are.
    func lookAgain(at limit: BucketLimit, _ due: Due) {
        let wait = max(1, due.wait(from: moment))
        memory.limits.setAlarm(limit, .steady, at: steady + wait)
        if due.axis == .wall { memory.limits.setAlarm(limit, .wall, at: now + wait) }
    }

    /// What follows from a limit's having no room: when it is looked at again, or refreshed.
    func note(_ demand: Demand, _ dueAt: Due?, group: TaskGroup) {
        switch demand {
        case .slot(let limit, _):
            // Room that others were meant to have: they are looked at first.
            memory.limits.markFreed(limit)
            refreshIfDue(limit, for: group)
        case .hits(let limit, _):
            if let dueAt { lookAgain(at: limit, dueAt) }
        }
    }
}

extension Transaction {
    /// A refused hit that asks for it uses up what is left. A job that waits in line is refused once, when it comes: drained at
    /// each look, a bucket would never have room for it.
    func drain(_ limit: BucketLimit, _ rate: StorageV1.RateLimit) {
        guard rate.behavior & RateBehavior.drainOverLimit != 0 else { return }
        change(limit) { bucket in
            var drained = bucket
            drained.pass(to: moment, rate)
            if drained.drain(rate, at: moment) { bucket = drained }
        }
    }
}

extension StorageV1.RateLimit {
    /// The wait after `checks` refusals, in milliseconds.
    func backoff(after checks: UInt32) -> Int64 {
        let wait = Double(initialBackoffMs) * power(backoffMultiplier, checks)
        return max(0, min(saturated(wait), maxBackoffMs))
    }
}
