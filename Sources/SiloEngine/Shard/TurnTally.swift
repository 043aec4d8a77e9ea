public import SiloCore
public import SiloStore

/// What the commands of one turn came to: see `EngineEvents`.
public struct TurnTally: Sendable {
    /// Jobs stored by enqueues; imports do not count.
    public var enqueued = 0
    /// Outcomes that workers reported, by what they said: a failure that is retried is one too.
    public var succeeded = 0
    public var failed = 0
    public var cancelled = 0
    /// Leases whose workers were not heard of in time.
    public var leasesExpired = 0
    /// Jobs that got all that their limits ask for, as they came or from a line.
    public var grantedAtOnce = 0
    public var grantedFromLine = 0
    /// Turns of tenants that were used up, so that another's came.
    public var tenantTurns = 0
    /// What workers asked for, got and reported, of each group that they named in this turn.
    public var groups: [GroupTally] = []
    /// Jobs that bulk actions came to, step by step.
    public var bulk: [BulkTally] = []
    /// How long the request had waited that had waited longest when the turn began, in milliseconds; nil: none waited.
    public var longestWait: Int64?

    /// Adds what one request for tasks of a group got.
    mutating func add(_ leases: [LeaseSample], of group: TaskGroup) {
        guard let index = groups.firstIndex(where: { $0.group == group }) else {
            return groups.append(GroupTally(group: group, polls: 1, leases: leases))
        }
        groups[index].polls += 1
        groups[index].leases += leases
    }

    /// Adds an attempt of a group whose outcome was reported, and how long it ran, in milliseconds.
    mutating func add(run milliseconds: Int64, of group: TaskGroup) {
        guard let index = groups.firstIndex(where: { $0.group == group }) else {
            return groups.append(GroupTally(group: group, polls: 0, leases: [], runs: [milliseconds]))
        }
        groups[index].runs.append(milliseconds)
    }
}

/// What workers of one group got and reported in a turn.
public struct GroupTally: Sendable {
    public let group: TaskGroup
    /// Requests for tasks.
    public var polls: Int
    public var leases: [LeaseSample]
    /// How long attempts ran whose outcome was reported, in milliseconds by the wall clock; not below 0.
    public var runs: [Int64] = []
}

/// One task that was leased.
public struct LeaseSample: Sendable {
    /// Since the job was stored, in milliseconds by the wall clock; not below 0.
    public let sinceStored: Int64
    /// The same since the start of the attempt, which waiting for limits is part of.
    public let sinceStart: Int64
    public let isRetry: Bool
}

/// What one step of a bulk action did.
public struct BulkTally: Sendable {
    public let verb: StorageV1.BulkVerb
    public var done = 0
    /// Jobs that met the condition and could not be changed.
    public var refused = 0
}
