import Protobuf
public import SiloCore
package import SiloStore

/// Takes a worker's outcome for its task and decides what becomes of the job (spec/jobs.md 6.4).
///
/// Exactly one outcome is taken for each lease. Whoever knows the task may report, also late, as long as it is leased.
public struct ReportOutcome: Command {
    public enum Outcome: Sendable {
        case success(result: Bytes)
        case failure(code: String, data: Bytes)
        case cancelled
    }

    public let tenant: Tenant
    public let task: TaskID
    public let outcome: Outcome

    public init(tenant: Tenant, task: TaskID, outcome: Outcome) {
        self.tenant = tenant
        self.task = task
        self.outcome = outcome
    }

    package static var lane: Lane { .renewal }

    public var contentBytes: Int {
        switch outcome {
        case .success(let result): result.count
        case .failure(let code, let data): code.utf8.count + data.count
        case .cancelled: 0
        }
    }

    /// Refused with `.leaseNotFound`, or with `.invalidArgument` for the task of a refresh.
    package func check(_ view: View) async throws(Refusal) -> LiveLease {
        if let lease = view.lease(task, of: tenant) {
            let mayRetry = if case .failure = outcome { true } else { false }
            try await view.prepare(forEnding: lease, mayRetry: mayRetry)
            return lease
        }
        guard view.refresh(task, of: tenant) == nil else {
            throw .refused(.invalidArgument("task is a RefreshFloatingLimit: report it with ReportRefreshOutcome"))
        }
        view.reached(.lateReport)
        throw .refused(.leaseNotFound)
    }

    /// Durable when answered.
    package func run(_ lease: LiveLease, in transaction: Transaction) async throws(StoreError) {
        switch outcome {
        case .success: transaction.memory.tally.succeeded += 1
        case .failure: transaction.memory.tally.failed += 1
        case .cancelled: transaction.memory.tally.cancelled += 1
        }
        let run = max(0, transaction.now - Timestamp(lease.record.startedAtMs))
        transaction.memory.tally.add(run: run, of: lease.queue.id.group)
        try await transaction.attempts.end(lease, outcome)
    }
}
