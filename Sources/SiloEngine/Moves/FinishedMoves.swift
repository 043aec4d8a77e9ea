import Protobuf
import SiloCore
import SiloStore

/// What of a job says how long it is kept once it has finished, and which rows go with it then.
struct Kept {
    /// 0: as the server's settings say.
    let retainMs: Int64
    /// It has no metadata.
    let isBare: Bool

    init(_ job: StorageV1.Job) {
        retainMs = job.retainMs
        isBare = job.metadata.isEmpty
    }

    init(_ lease: StorageV1.Lease) {
        retainMs = lease.retainMs
        isBare = lease.bare
    }

    /// When one that finished at a time goes, whatever the settings say; nil: as they say.
    func until(after finishedAt: Timestamp) -> Timestamp? { retainMs > 0 ? finishedAt + retainMs : nil }
}

/// How a job ends.
struct JobEnd {
    let state: StorageV1.JobState
    let attempt: UInt32
    let relative: UInt32
    let kept: Kept
    /// When it ended; nil: now.
    var at: Timestamp?
    /// When cancellation was asked for.
    var cancelledAt: Timestamp?
    /// Of an attempt that never ran: when it would have started.
    var start: Timestamp?
    /// The attempt that ended the job; nil when none did.
    var lastAttempt: StorageV1.Attempt?
}

/// Finished: nothing happens to the job any more, unless it is restarted, imported anew or deleted, or its time is over.
struct FinishedMoves: Part {
    let transaction: Transaction

    /// Writes what became of the job and puts it among the finished ones.
    func add(_ job: JobReference, _ end: JobEnd) {
        var status = StorageV1.Status()
        status.state = end.state
        let changedAt = end.at ?? now
        status.changedAtMs = changedAt.milliseconds
        status.attempt = end.attempt
        status.relativeAttempt = end.relative
        status.startMs = end.start?.milliseconds
        status.cancelledAtMs = end.cancelledAt?.milliseconds
        status.lastAttempt = end.lastAttempt
        rows.put(job.keys.status(job.id), status.serializedBytes())
        index(job, end, at: changedAt)
        memory.addFinished(end.state, to: job.queue)
        if end.at == nil {
            job.queue.ended.count(at: steady)
            if end.state == .failed { job.queue.failures.count(at: steady) }
        }
        memory.markDirty(job.queue)
    }

    private func index(_ job: JobReference, _ end: JobEnd, at time: Timestamp) {
        let state = UInt8(end.state.rawValue)
        var record = StorageV1.FinishedJob()
        record.taskGroup = job.group.text
        record.attempts = end.attempt
        record.bare = end.kept.isBare
        let until = end.kept.until(after: time)
        record.keptUntilMs = until?.milliseconds ?? 0
        // At a time that a caller names, a job of this id whose own row could not be read may have left such rows.
        let write = end.at == nil ? rows.insert : rows.put
        let key = job.keys.finished(state, time, job.id)
        write(key, record.serializedBytes(), nil)
        memory.retained.came(key)
        if end.state == .failed {
            memory.failureBounds.came(job.keys.slice, at: time)
            write(job.keys.failed(time, job.id), [], nil)
        }
        if let until {
            record.state = end.state
            record.changedAtMs = time.milliseconds
            let key = job.keys.keptUntil(until, job.id)
            write(key, record.serializedBytes(), nil)
            memory.retained.came(key)
            memory.retained.note(.keptUntil(job.keys.slice), key, due: until)
        }
        let period = FinishedPeriod(of: time)
        guard job.queue.lastPeriods[state] != period || memory.retained.mayHaveSwept(period, state) else { return }
        job.queue.lastPeriods[state] = period
        let row = job.keys.period(period, state)
        rows.put(row, [])
        memory.retained.note(.ended(job.keys.slice, state), row, due: period.last)
    }

    /// Takes a job out from among the finished ones.
    func remove(_ job: JobReference, _ status: StorageV1.Status, _ kept: Kept) {
        let changedAt = Timestamp(status.changedAtMs)
        remove(job, status.state, at: changedAt, until: kept.until(after: changedAt))
    }

    func remove(_ job: JobReference, _ state: StorageV1.JobState, at changedAt: Timestamp, until: Timestamp?) {
        rows.delete(job.keys.finished(UInt8(state.rawValue), changedAt, job.id))
        if state == .failed { rows.delete(job.keys.failed(changedAt, job.id)) }
        if let until { rows.delete(job.keys.keptUntil(until, job.id)) }
        memory.removeFinished(state, from: job.queue)
        memory.markDirty(job.queue)
    }

    /// The same for one that is to run again: the attempt that ended it gets a row of its own.
    func takeBack(_ job: JobReference, _ status: StorageV1.Status, _ kept: Kept) {
        remove(job, status, kept)
        if let last = status.lastAttempt { rows.put(job.keys.attempt(job.id, last.number), last.serializedBytes()) }
    }

    /// Deletes what is left of a job that was taken out: nothing of it remains.
    /// - Parameter attempts: the number of its last one.
    func erase(_ job: JobReference, attempts: UInt32, _ metadata: TextMap<String>) {
        rows.delete(job.keys.job(job.id))
        rows.delete(job.keys.status(job.id))
        for (name, value) in metadata { rows.delete(job.keys.metadata(name, value, job.id)) }
        // Unread: what attempts carry may be far larger than all else that a batch holds.
        for number in 1..<max(1, attempts) { rows.delete(job.keys.attempt(job.id, number)) }
        memory.totalJobs -= 1
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
