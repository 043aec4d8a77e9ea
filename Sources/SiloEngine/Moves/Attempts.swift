import Protobuf
import SiloCore
import SiloStore

/// What becomes of a job when an attempt of it ends, or has not run.
struct Attempts: Part {
    let transaction: Transaction

    /// Makes the job scheduled for an attempt, and the attempt due.
    /// - Parameter delay: the end of the length of time that it waits for; nil: it waits for the date of its start, if that is to
    ///   come.
    func schedule(
        _ job: JobReference, _ stored: StorageV1.Job, _ storedBytes: Int,
        attempt: UInt32, relative: UInt32, start: Timestamp, after delay: Due? = nil
    ) async throws(StoreError) {
        var status = StorageV1.Status()
        status.state = .scheduled
        status.changedAtMs = now.milliseconds
        status.attempt = attempt
        status.relativeAttempt = relative
        status.startMs = start.milliseconds
        status.dueMs = delay?.at.milliseconds
        rows.put(job.keys.status(job.id), status.serializedBytes())
        let task = StorageV1.Task(
            stored, attempt: attempt, relative: relative, start: start, scheduledAt: now, encodedBytes: storedBytes, settings
        )
        try await admission.admit(job, task, after: delay)
    }

    // MARK: It ran

    /// Ends an attempt. A failure is retried as the job's policy says, unless the job was cancelled: cancel is final.
    func end(_ lease: LiveLease, _ outcome: ReportOutcome.Outcome) async throws(StoreError) {
        let job = JobReference(id: lease.job, queue: lease.queue)
        let record = lease.record
        leases.remove(lease)
        try await limits.free(record.slots.map { LimitKey($0) }, hold: record.slotHold, of: job.tenant)

        let attempt = StorageV1.Attempt(of: record, outcome, endedAt: now)
        var state = attempt.outcome
        if state == .failed {
            if lease.cancelledAt != nil {
                reached(.failureOfCancelledJob)
                state = .cancelled
            } else if try await retry(job, after: attempt) {
                return
            }
        }
        finished.add(
            job,
            JobEnd(
                state: state, attempt: record.attempt, relative: record.relativeAttempt, kept: Kept(record),
                cancelledAt: lease.cancelledAt, lastAttempt: attempt
            )
        )
    }

    /// Schedules the next attempt when the job's policy grants one. A job whose row is gone or cannot be read has no policy.
    private func retry(_ job: JobReference, after attempt: StorageV1.Attempt) async throws(StoreError) -> Bool {
        guard let bytes = try await rows.get(job.keys.job(job.id)), let stored = try? StorageV1.Job(serializedBytes: bytes),
            let wait = stored.retryPolicy?.wait(after: attempt, of: job)
        else { return false }
        // Not as new: a job of this id whose row could not be read may have left its own.
        rows.put(job.keys.attempt(job.id, attempt.number), attempt.serializedBytes())
        if wait == 0 { reached(.retryAtOnce) }
        try await schedule(
            job, stored, bytes.count, attempt: attempt.number + 1, relative: attempt.relativeNumber + 1, start: now + wait,
            after: wait > 0 ? .delay(until: steady + wait) : nil
        )
        return true
    }

    // MARK: It has not run

    /// Puts a leased task back where it came from.
    /// - Parameter unheard: how often it was leased then without a word from its worker.
    func release(_ lease: LiveLease, unheard: UInt32) async throws(StoreError) {
        let record = lease.record
        let tenant = lease.queue.id.tenant
        let slots = record.slots.map { LimitKey($0) }
        let found = try await transaction.find(tenant, lease.job)
        leases.remove(lease)
        guard let (stored, job) = found else {
            // There is nothing to put back; the other tasks are not held up.
            return try await limits.free(slots, hold: record.slotHold, of: tenant)
        }
        if let cancelledAt = lease.cancelledAt {
            reached(.cancelledLeaseGivenBack)
            try await limits.free(slots, hold: record.slotHold, of: tenant)
            let end = JobEnd(
                state: .cancelled, attempt: record.attempt, relative: record.relativeAttempt, kept: Kept(record),
                cancelledAt: cancelledAt
            )
            return finished.add(job, end)
        }
        reached(.leaseGivenBack)
        var task = StorageV1.Task(
            stored.job, attempt: record.attempt, relative: record.relativeAttempt, start: Timestamp(record.startMs),
            scheduledAt: stored.scheduledAt, encodedBytes: stored.jobBytes, settings
        )
        task.unheard = unheard
        guard record.hold != nil else { return try await admission.admit(job, task, after: stored.delay) }
        if record.used {
            // Its hits may be of a window that has passed: it is admitted anew.
            let start = Moment(wall: Timestamp(record.startedAtMs), steady: Timestamp(record.startedSteadyMs))
            let now = moment
            try await limits.changeBuckets(stored.job.limits.rates, of: tenant) {
                reached(.hitsGivenBack)
                $0.refund($1, startedAt: start, now: now)
            }
            try await limits.free(slots, hold: record.slotHold, of: tenant)
            return try await admission.admitAgain(job, task)
        }
        // It keeps its slots; an external limiter is not asked twice.
        task.slotHold = record.slotHold
        task.ratesPassed = UInt32(stored.job.limits.rates.count)
        ready.add(job, task)
    }
}

extension StorageV1.Attempt {
    fileprivate init(of lease: StorageV1.Lease, _ outcome: ReportOutcome.Outcome, endedAt: Timestamp) {
        self.init()
        number = lease.attempt
        relativeNumber = lease.relativeAttempt
        taskId = lease.taskId
        startedAtMs = lease.startedAtMs
        finishedAtMs = endedAt.milliseconds
        switch outcome {
        case .success(let result):
            self.outcome = .succeeded
            self.result = result
        case .cancelled:
            self.outcome = .cancelled
        case .failure(let code, let data):
            self.outcome = .failed
            errorCode = code
            errorData = data
        }
    }
}
