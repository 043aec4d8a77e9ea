import SiloCore

/// The numbers of one shard. Defaults are what a server uses.
public struct EngineSettings: Sendable {
    /// How long a worker holds a task without a heartbeat (spec/jobs.md 2).
    public var leaseMilliseconds: Int64 = 10_000

    /// A waiting job gains one step of priority in this time, so that nothing starves.
    public var agingMillisecondsPerPriority: UInt64 = 60_000

    /// How many jobs a tenant is served in one turn while others wait.
    public var quantum = 8

    /// Ready or timer rows of one queue that memory holds.
    public var windowMax = 8192

    /// Bytes of such rows over all queues and all shards of a server.
    public var windowBytesMax = 128 << 20

    /// Rows read at once when a window runs empty.
    public var pageRows = 512

    /// A pending task carries a copy of its job up to this encoded size, in bytes.
    public var inlineJobBytesMax = 4096

    /// Lines that are looked at in one go when slots come free; the rest is looked at in the next turn.
    public var grantsMax = 1024

    /// Ready jobs of paused limits that one request for tasks puts back into line; the rest is for the next turn.
    public var turnedBackMax = 512

    /// How long a job that needs several slots is passed over by others before a free slot of each is kept for it.
    public var passedOverMilliseconds: Int64 = 30_000

    /// Limits kept in memory that nobody waits for.
    public var idleLimitsMax = 65_536

    /// Refreshes of floating limits that a worker gets at once.
    public var refreshesPerLeaseMax = 16

    /// Pauses of one shard.
    public var pausesMax = 10_000

    /// The time between two audits of what the limits hold, in the background; nil: there are none.
    public var auditMilliseconds: Int64?

    /// The rest that an audit takes after each page of rows.
    public var auditPauseMilliseconds: Int64 = 20

    /// How long an external rate limiter's answer is waited for before it is asked again.
    public var rateAnswerMilliseconds: Int64 = 15_000

    /// The least time before a rate limit is asked again whose external limiter could not be asked, or that refused the job
    /// very often.
    public var rateRetryLeastMilliseconds: Int64 = 100

    /// Rate limits are asked of an external limiter.
    private(set) var asksRateLimiter = false

    func asking(_ limiter: (any RateLimiter)?) -> EngineSettings {
        var settings = self
        settings.asksRateLimiter = limiter != nil
        return settings
    }

    /// Jobs that one turn of the loop, and so one write batch, is about at most.
    public var turnJobsMax = 512

    /// Weight of the commands of one turn, and of the tasks that it leases, unless one alone is larger.
    public var turnBytesMax = 32 << 20

    /// How long a turn goes on before it is written.
    public var turnMillisecondsMax: Int64 = 100

    /// Calls of one lane that wait, or whose answers wait to be durable. Past it requests are refused.
    public var unansweredMax = 32_768

    /// Bytes of requests that wait, or whose answers wait to be durable, over all shards of a server. Past it requests are
    /// refused.
    public var unansweredBytesMax = 512 << 20

    /// Bytes of what renews and ends leases among those, results included. Past it requests are refused.
    public var renewalBytesMax = 256 << 20

    /// How often a lease that was never renewed nor reported is given back without being counted as an attempt: its worker may
    /// never have heard of it.
    public var unheardLeasesMax: UInt32 = 3

    /// The least time between two log flushes: 0 on a local disk; on an object store it bounds the cost of requests.
    public var flushGapMilliseconds: Int64 = 0

    /// Task groups whose workers are remembered, for explanations and refreshes.
    public var pollGroupsMax = 1024

    /// Task groups with counts of their own for whoever measures; the others share one.
    public var measuredGroupsMax = 200

    /// Idle queues kept in memory.
    public var idleQueuesMax = 16_384

    /// How long finished jobs are kept; what a shard is opened with.
    public var retention = Retention()

    /// The time between two looks for finished jobs whose time is over, and for tenants to be dropped; nil: nobody looks.
    public var housekeepingMilliseconds: Int64?

    /// The least pause after each step of that.
    public var housekeepingPauseMilliseconds: Int64 = 0

    /// Bulk actions of one shard that go on at once.
    public var bulkActionsMax = 4

    /// Bulk actions that have ended and are remembered, and for how long.
    public var bulkActionsKept = 100
    public var bulkKeptMilliseconds: Int64 = 7 * 86_400_000

    public init() {}

    /// What can be changed while a shard is open.
    public struct Changeable: Sendable, Equatable {
        public var retention: Retention
        public var flushGapMilliseconds: Int64
        public var auditMilliseconds: Int64?
    }

    public var changeable: Changeable {
        get { Changeable(retention: retention, flushGapMilliseconds: flushGapMilliseconds, auditMilliseconds: auditMilliseconds) }
        set {
            (retention, flushGapMilliseconds) = (newValue.retention, newValue.flushGapMilliseconds)
            auditMilliseconds = newValue.auditMilliseconds
        }
    }
}
