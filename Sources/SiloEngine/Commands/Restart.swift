import Protobuf
public import SiloCore
package import SiloStore

/// Runs a failed or cancelled job again, with all its retries (spec/jobs.md 6.8).
///
/// Attempt numbers go on; an attempt that was cancelled before it ran keeps its number. It starts now, unless it waited for its
/// first date when it was cancelled, and that is still to come.
public struct Restart: JobChange {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    package func check(_ view: View, _ stored: StoredJob, _ job: JobReference) async throws(Refusal) -> Finished {
        func refuse(_ reason: String) -> Refusal { .refused(.jobRefused(.restart, id, reason: reason, stored.state)) }
        guard let status = stored.status, stored.isFinished else { throw refuse("job is still in progress") }
        guard stored.state != .succeeded else { throw refuse("job already succeeded") }
        return Finished(job: job, stored: stored, status: status)
    }

    /// Durable when answered.
    package func run(_ found: Finished, in transaction: Transaction) async throws(StoreError) {
        let (job, stored, status) = (found.job, found.stored, found.status)
        transaction.finished.takeBack(job, status, Kept(stored.job))
        let attempt = status.lastAttempt == nil ? status.attempt : status.attempt + 1
        let start = max(transaction.now, status.waitsFor(Timestamp(stored.job.enqueueTimeMs)) ?? transaction.now)
        transaction.reached(.restarted)
        try await transaction.attempts.schedule(
            job, stored.job, stored.jobBytes, attempt: max(1, attempt), relative: 1, start: start)
    }
}

extension StorageV1.Status {
    /// The date that the job was enqueued for, if it waited for that when it was cancelled. One that has run or was expedited has
    /// left its date behind.
    fileprivate func waitsFor(_ date: Timestamp) -> Timestamp? {
        guard attempt <= 1, lastAttempt == nil, let startMs, Timestamp(startMs) >= date else { return nil }
        return date
    }
}
