import Protobuf
import SiloCore
import SiloStore

/// The row of a job's pending attempt, in the place where it stands.
package struct Pending {
    enum Place {
        case ready(Position)
        case timer(Due)
        case waiting(LineID, Position)
    }
    let place: Place
    let key: Bytes
    /// What the row says; nil: nobody has read it, and it holds nothing.
    let value: Bytes?
}

/// A pending attempt, wherever it stands: ready, at a timer, or in a line.
struct PendingMoves: Part {
    let transaction: Transaction

    /// Finds the pending attempt; nil when it stands nowhere.
    func find(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> Pending? {
        guard let start = stored.pendingStart else { return nil }
        let position = job.position(of: stored, start: start, settings)
        let isEarly = isEarly(stored)
        if isEarly, let found = try await timer(job, stored) { return found }
        if let found = try await row(.ready(position), job.keys.ready(job.group, position)) { return found }
        if !isEarly, let found = try await timer(job, stored) { return found }
        guard !stored.job.limits.isEmpty else { return nil }
        let line = LineID(of: stored.job.limits)
        return try await row(.waiting(line, position), job.keys.waiting(line, position))
    }

    /// Its time has not come, so that it stands at a timer, unless somebody expedited it.
    func isEarly(_ stored: StoredJob) -> Bool {
        stored.due.map { $0.date(at: transaction.moment) > now } ?? false
    }

    /// The same for one that stands at a timer.
    func timer(_ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> Pending? {
        guard let due = stored.due else { return nil }
        return try await row(.timer(due), job.keys.timer(due.axis, job.group, stored.position(due)))
    }

    private func row(_ place: Pending.Place, _ key: Bytes) async throws(StoreError) -> Pending? {
        if rows.isPresumed(key) { return Pending(place: place, key: key, value: nil) }
        return try await rows.get(key).map { Pending(place: place, key: key, value: $0) }
    }

    /// Takes the pending attempt away from where it stands, with what it holds.
    func take(_ pending: Pending, _ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> StorageV1.Task {
        let task = remove(pending, stored)
        switch pending.place {
        case .ready(let position):
            memory.remove(position, from: .ready(job.queue))
        case .timer(let due):
            memory.remove(stored.position(due), from: .timers(job.queue, due.axis))
        case .waiting(_, let position):
            let line = try await lines.line(of: stored.job.limits, job.tenant)
            memory.remove(position, from: .waiting(line))
            memory.countOutWaiting(of: job.queue)
            if line.waiting == 0 { memory.limits.forget(line) }
        }
        return task
    }

    /// The same, and gives up what it holds.
    func takeReleasing(_ pending: Pending, _ job: JobReference, _ stored: StoredJob) async throws(StoreError) -> StorageV1.Task {
        switch pending.place {
        case .ready: reached(.takenFromReady)
        case .timer: reached(.takenFromTimer)
        case .waiting: reached(.takenFromLine)
        }
        return try await limits.releasing(try await take(pending, job, stored), job)
    }

    /// A row that cannot be read is set aside; the job's own row says what the attempt is.
    private func remove(_ pending: Pending, _ stored: StoredJob) -> StorageV1.Task {
        let task = pending.value.flatMap { try? StorageV1.Task(serializedBytes: $0) }
        if let value = pending.value, task == nil {
            transaction.setAside(Row(key: pending.key, value: value))
        } else {
            rows.delete(pending.key)
        }
        return task
            ?? StorageV1.Task(
                stored.job, attempt: stored.attempt, relative: stored.relativeAttempt, start: stored.pendingStart ?? now,
                scheduledAt: stored.scheduledAt, encodedBytes: stored.jobBytes, settings
            )
    }
}
