import SiloCore
import SiloStore

/// What the records of a job say, as far as its scan has read them.
extension JobRow {
    func withRecord<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        try (job ?? []).withUnsafeBufferPointer(body)
    }

    /// Nil: there is no record, or it cannot be read.
    func recordFields() -> JobFields? {
        job == nil ? nil : withRecord { JobFields($0, in: jobRange) }
    }

    /// - Parameter fields: those of the record.
    /// - Returns: nil when a record cannot be read.
    func statusView(at moment: Moment, _ fields: () -> JobFields?) -> JobStatusView? {
        if let status {
            if let changedAt { return JobStatusView(status, changedAt: changedAt) }
            if let task {
                guard let task = task.withUnsafeBufferPointer({ TaskFields($0) }) else { return nil }
                return JobStatusView(
                    status, changedAt: task.scheduledAt, attempt: task.attempt, nextStart: nextStart ?? task.start)
            }
        }
        guard lease == nil, statusRecord == nil else {
            return JobStatusView(lease: lease, record: statusRecord, created: 0, start: 0, at: moment)
        }
        // A job that runs is told by its lease alone, one that something happened to by its status.
        guard let fields = fields() else { return nil }
        return JobStatusView(lease: nil, record: nil, created: fields.createdAt, start: fields.start, at: moment)
    }

    /// The task group, where the key does not tell it; nil: no record tells it, or it cannot be read.
    func withStoredGroup<R>(_ fields: () -> JobFields?, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        func lent(_ bytes: Bytes, _ range: Range<Int>?) -> R? {
            guard let range else { return nil }
            return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        }
        if let finished { return lent(finished, finished.withUnsafeBufferPointer { FinishedFields($0)?.group }) }
        if let job { return lent(job, fields()?.group) }
        if let lease { return lent(lease, lease.withUnsafeBufferPointer { LeaseFields($0)?.group }) }
        if let task { return lent(task, task.withUnsafeBufferPointer { TaskFields($0)?.group }) }
        return nil
    }

    /// Why a statement that needs its records fails, and how to ask without it.
    var unreadable: StoreError {
        let (job, owner) = (id.string(in: key), tenant.string(in: key))
        let without = "NOT (tenant = \(quotedText(owner)) AND id = \(quotedText(job))) AND"
        return .corrupt("job \(job) of tenant \(owner) cannot be read; \(without) before the rest of the condition leaves it out")
    }
}
