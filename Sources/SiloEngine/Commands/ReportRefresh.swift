public import Protobuf
public import SiloCore
package import SiloStore

/// A floating limit's refresh as a worker gets it.
public struct LeasedRefresh: Sendable {
    public let id: TaskID
    public let tenant: Tenant
    public let limit: LimitKey
    public let currentMax: UInt32
    /// The epoch when it never was.
    public let lastRefreshedAt: Timestamp
    public let metadata: TextMap<String>
    public let group: TaskGroup

    /// Bytes that it takes in an answer, at most.
    public var answerBytes: Int {
        512 + tenant.name.utf8.count + limit.text.utf8.count + metadata.textBytes + 32 * metadata.count
    }
}

/// Takes a worker's outcome of a refresh (spec/limits.md 7.4).
public struct ReportRefresh: Command {
    public enum Outcome: Sendable {
        case success(newMax: UInt32)
        case failure
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

    /// Refused with `.leaseNotFound`, or with `.invalidArgument` for the task of a job.
    package func check(_ view: View) async throws(Refusal) -> LiveRefresh {
        guard view.lease(task, of: tenant) == nil else {
            throw .refused(.invalidArgument("task is not a RefreshFloatingLimit: report it with ReportOutcome"))
        }
        guard let refresh = view.refresh(task, of: tenant), refresh.isLeased else { throw .refused(.leaseNotFound) }
        try await view.prepare { $0.unread([refresh.limit.key], of: tenant) }
        return refresh
    }

    /// Durable when answered.
    package func run(_ refresh: LiveRefresh, in transaction: Transaction) async throws(StoreError) {
        try await transaction.refreshes.end(refresh, outcome)
    }
}
