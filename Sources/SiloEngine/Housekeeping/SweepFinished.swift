import Protobuf
import SiloCore
import SiloStore

/// Erases finished jobs whose time is over: one step of it, in which each job goes whole.
struct SweepFinished: Duty {
    enum Part {
        /// Of a tenant, those that ended so in a period.
        case period(Tenant, UInt8, FinishedPeriod)
        /// Of a slice, those that say themselves that they go by then.
        case keptUntil(Slice, by: Timestamp)
    }
    let part: Part

    struct Answer {
        var erased = 0
        /// Nothing of the part is left to be erased.
        var isDone = true
        /// The store does not answer: there is more to do some time later.
        var isUnanswered = false
        /// How long the shard's loop was at it.
        var milliseconds: Int64 = 0
    }

    static var isAside: Bool { true }

    /// Rows looked at in one step, and how long it takes at most, but for one job.
    static let rowsMax = 256
    static let millisecondsMax: Int64 = 5
    private static let rowsBetweenLooks = 16

    var jobCount: Int { 32 }

    func run(in transaction: Transaction) async throws(StoreError) -> Answer {
        let began = transaction.steady
        var answer = Answer()
        if case .period(let tenant, _, _) = part, transaction.memory.drops[tenant] != nil { return answer }
        let range = range
        var from = range.start
        if let cursor = transaction.memory.retained.cursor, cursor.start == range.start { from = cursor.next }
        let page = try await transaction.ifAnswered { () async throws(StoreError) in
            try await transaction.rows.scan(from: from, to: range.end, limit: Self.rowsMax)
        }
        guard let page else { return Answer(isDone: false, isUnanswered: true) }
        let rows = page.rows
        var next = page.next
        for (index, row) in rows.enumerated() {
            if index % Self.rowsBetweenLooks == Self.rowsBetweenLooks - 1 {
                transaction.begin()
                guard transaction.steady - began < Self.millisecondsMax else {
                    next = row.key
                    break
                }
            }
            guard let isErased = try await erase(row, in: transaction) else {
                (next, answer.isUnanswered) = (row.key, true)
                break
            }
            if isErased { answer.erased += 1 }
        }
        transaction.memory.retained.sweepStands(range.start, at: next)
        answer.isDone = next == nil
        if answer.isDone { end(in: transaction) }
        if answer.erased > 0 { transaction.reached(.swept) }
        transaction.begin()
        answer.milliseconds = transaction.steady - began
        return answer
    }

    private var range: (start: Bytes, end: Bytes) {
        switch part {
        case .period(let tenant, let state, let period): TenantKeys(tenant).finished(state, in: period)
        case .keptUntil(let slice, let time): slice.keptUntil(by: time)
        }
    }

    /// The row of a period goes with the last of its jobs.
    private func end(in transaction: Transaction) {
        guard case .period(let tenant, let state, let period) = part else { return }
        transaction.rows.delete(TenantKeys(tenant).period(period, state))
        transaction.memory.retained.didSweep(period, state)
    }

    /// Erases the job of a row; false: it stays; nil: the store does not answer.
    private func erase(_ row: Row, in transaction: Transaction) async throws(StoreError) -> Bool? {
        switch part {
        case .period(let tenant, _, _):
            let keys = TenantKeys(tenant)
            guard let (state, changedAt, id) = keys.parseFinished(row.key) else { return false }
            guard !row.value.isEmpty else { return try await eraseUnnoted(tenant, id, in: transaction) }
            guard let record = try? StorageV1.FinishedJob(serializedBytes: row.value), record.keptUntilMs == 0 else {
                return false
            }
            let ended = StorageV1.JobState(rawValue: Int32(state))
            return try await transaction.finished.erase(tenant, id, record, ended, at: changedAt)
        case .keptUntil:
            guard let (_, tenant, id) = RetainedKeys.parseKeptUntil(row.key), transaction.memory.drops[tenant] == nil,
                let record = try? StorageV1.FinishedJob(serializedBytes: row.value)
            else { return false }
            return try await transaction.finished.erase(tenant, id, record, record.state, at: Timestamp(record.changedAtMs))
        }
    }

    /// The row of a job that finished when such rows said nothing.
    private func eraseUnnoted(_ tenant: Tenant, _ id: JobID, in transaction: Transaction) async throws(StoreError) -> Bool? {
        let found = try await transaction.ifAnswered { () async throws(StoreError) in try await transaction.find(tenant, id) }
        guard let found else { return nil }
        guard let (stored, job) = found, stored.isFinished, let status = stored.status else { return false }
        transaction.finished.remove(job, status, Kept(stored.job))
        transaction.finished.erase(job, attempts: stored.attempt, stored.job.metadata)
        return true
    }
}

extension FinishedMoves {
    /// Erases a job that one of its rows among the finished ones describes. Nil: the store does not answer.
    fileprivate func erase(
        _ tenant: Tenant, _ id: JobID, _ record: StorageV1.FinishedJob, _ state: StorageV1.JobState, at changedAt: Timestamp
    ) async throws(StoreError) -> Bool? {
        let read = try await transaction.ifAnswered { () async throws(StoreError) in
            let queue = try await transaction.queue(tenant, TaskGroup(record.taskGroup))
            return (queue, record.bare ? nil : try await rows.get(queue.keys.job(id)))
        }
        guard let (queue, row) = read else { return nil }
        let job = JobReference(id: id, queue: queue)
        let metadata = row.flatMap { try? StorageV1.Job(serializedBytes: $0) }?.metadata ?? [:]
        remove(job, state, at: changedAt, until: record.keptUntilMs == 0 ? nil : Timestamp(record.keptUntilMs))
        erase(job, attempts: record.attempts, metadata)
        return true
    }
}
