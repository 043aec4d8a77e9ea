import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// A concurrency limit of one key.
func slots(_ key: String, _ max: UInt32) -> StorageV1.Limit {
    var slots = StorageV1.ConcurrencyLimit()
    slots.key = key
    slots.maxConcurrency = max
    var limit = StorageV1.Limit()
    limit.kind = .concurrency(slots)
    return limit
}

/// A floating limit of one key.
func floating(_ key: String, _ max: UInt32, every interval: Int64 = 60_000, metadata: TextMap<String> = [:]) -> StorageV1.Limit {
    var floating = StorageV1.FloatingLimit()
    floating.key = key
    floating.defaultMaxConcurrency = max
    floating.refreshIntervalMs = interval
    floating.metadata = metadata
    var limit = StorageV1.Limit()
    limit.kind = .floating(floating)
    return limit
}

/// A rate limit as a job brings it; by default a token bucket of a minute whose jobs wait in line.
func rateLimit(
    _ key: String, _ limit: Int64, per duration: Int64 = 60_000, hits: Int32 = 1, leaky: Bool = false, burst: Int64 = 0,
    behavior: Int32 = 0, retries: UInt32 = 0, backoff: Int64 = 100, maxBackoff: Int64 = 30_000, factor: Double = 2
) -> StorageV1.RateLimit {
    var rate = StorageV1.RateLimit()
    rate.name = "rate"
    rate.uniqueKey = key
    rate.limit = limit
    rate.durationMs = duration
    rate.hits = hits
    rate.algorithm = leaky ? 1 : 0
    rate.behavior = behavior
    rate.burst = burst
    rate.initialBackoffMs = backoff
    rate.maxBackoffMs = maxBackoff
    rate.backoffMultiplier = factor
    rate.maxRetries = retries
    return rate
}

func rate(_ record: StorageV1.RateLimit) -> StorageV1.Limit {
    var limit = StorageV1.Limit()
    limit.kind = .rate(record)
    return limit
}

func rate(
    _ key: String, _ limit: Int64, per duration: Int64 = 60_000, hits: Int32 = 1, leaky: Bool = false, burst: Int64 = 0,
    behavior: Int32 = 0, retries: UInt32 = 0, backoff: Int64 = 100, maxBackoff: Int64 = 30_000
) -> StorageV1.Limit {
    rate(
        rateLimit(
            key, limit, per: duration, hits: hits, leaky: leaky, burst: burst, behavior: behavior, retries: retries,
            backoff: backoff,
            maxBackoff: maxBackoff
        ))
}

/// Settings under which memory holds next to nothing and everything is done in small steps.
func tiny(_ settings: inout EngineSettings) {
    settings.windowMax = 1
    settings.pageRows = 1
    settings.idleLimitsMax = 0
    settings.idleQueuesMax = 0
    settings.inlineJobBytesMax = 0
    settings.grantsMax = 1
}

/// A new job, for the commands that take several.
func newJob(_ id: String, priority: UInt32 = 50, group: String = "g", limits: [StorageV1.Limit]) -> Enqueue {
    Enqueue(tenant: Bench.tenant, id: JobID(id), priority: priority, limits: limits, taskGroup: group)
}

/// Where a job stands.
enum Place: String {
    case ready, waiting, timer, running, finished, nowhere
}

extension Bench {
    /// Job `both` waits for the slot of B, which the task holds, and the free slot of A is kept for it; `a1` waits for that one.
    static func withKeptSlot() async throws -> (Bench, holder: LeasedTask) {
        let bench = try await Bench.open { $0.passedOverMilliseconds = 0 }
        try await bench.enqueue("a0", limits: [slots("A", 1)])
        try await bench.enqueue("b0", limits: [slots("B", 1)])
        let tasks = try await bench.lease(5)
        try await bench.enqueue("both", limits: [slots("A", 1), slots("B", 1)])
        try await bench.succeed(tasks[0])
        try await bench.enqueue("a1", limits: [slots("A", 1)])
        return (bench, tasks[1])
    }

    /// Slots of a key that are held, as stored; nil when there is no row.
    func held(_ key: String, tenant: Tenant = Bench.tenant) async throws -> UInt64? {
        guard let bytes = try await memory.get(TenantKeys(tenant).slots(LimitKey(key))) else { return nil }
        let drops = try await memory.get(ShardKeys.tenantState(tenant)).map {
            try StorageV1.TenantState(serializedBytes: $0).drops
        }
        let record = try StorageV1.Slots(serializedBytes: bytes)
        return record.drops == drops ?? 0 ? record.held : 0
    }

    func floatingState(_ key: String, tenant: Tenant = Bench.tenant) async throws -> StorageV1.FloatingState? {
        try await memory.get(TenantKeys(tenant).slots(LimitKey(key))).flatMap {
            try StorageV1.Slots(serializedBytes: $0).floating
        }
    }

    func bucket(_ key: String) async throws -> StorageV1.Bucket? {
        try await memory.get(TenantKeys(Bench.tenant).bucket(LimitKey("rate"), LimitKey(key)))
            .map { try StorageV1.Bucket(serializedBytes: $0) }
    }

    /// Jobs that wait, by the rows of their lines.
    func waitingCount() async throws -> UInt64 {
        try memory.lines.reduce(0) { $0 + (try StorageV1.Line(serializedBytes: $1.value).waiting) }
    }

    /// Where a job stands, by its rows.
    func place(_ id: String, tenant: Tenant = Bench.tenant) async throws -> Place {
        guard let stored = try await job(id, tenant: tenant) else { return .nowhere }
        if stored.lease != nil { return .running }
        if stored.isFinished { return .finished }
        let keys = TenantKeys(tenant)
        let position = try await position(id, tenant: tenant)
        let group = TaskGroup(stored.job.taskGroup)
        if try await memory.get(keys.ready(group, position)) != nil { return .ready }
        if try await memory.get(keys.waiting(LineID(of: stored.job.limits), position)) != nil { return .waiting }
        let due = try #require(stored.due)
        if try await memory.get(keys.timer(due.axis, group, stored.position(due))) != nil { return .timer }
        return .nowhere
    }

    /// Where a job stands, or would, among those that are ready or wait at a limit.
    func position(_ id: String, tenant: Tenant = Bench.tenant) async throws -> Position {
        let stored = try #require(try await job(id, tenant: tenant))
        let from = max(try #require(stored.pendingStart), stored.scheduledAt)
        let rank = from.sortable + UInt64(stored.job.priority) * settings.agingMillisecondsPerPriority
        return Position(order: rank, arrival: stored.job.arrival, job: JobID(id))
    }

    func places(_ ids: String...) async throws -> [Place] {
        var found: [Place] = []
        for id in ids { found.append(try await place(id)) }
        return found
    }

    /// Lets the loop do what it left over, `turns` times.
    func settle(_ turns: Int = 8) async throws {
        for _ in 0..<turns { try await poke() }
    }

    @discardableResult
    func pause(_ target: PauseTarget) async throws -> Bool { try await shard.run(Pause(target, reason: "test")) }
    @discardableResult
    func resume(_ target: PauseTarget) async throws -> Bool { try await shard.run(Resume(target)) }
    func dropHolders(_ tenant: Tenant = Bench.tenant, key: String? = nil) async throws -> UInt64 {
        try await shard.run(DropHolders(tenant: tenant, key: key.map { LimitKey($0) }))
    }
    func giveBack(_ tasks: [LeasedTask]) async throws { try await shard.run(Release(tasks.map(\.id))) }

    /// Reports all as succeeded, in one command.
    func succeed(_ tasks: [LeasedTask]) async throws {
        let reports = tasks.map { ReportOutcome(tenant: $0.tenant, task: $0.id, outcome: .success(result: [1])) }
        for result in try await shard.run(Each(reports)) { try result.get() }
    }

    func report(_ refresh: LeasedRefresh, _ outcome: ReportRefresh.Outcome) async throws {
        try await shard.run(ReportRefresh(tenant: refresh.tenant, task: refresh.id, outcome: outcome))
    }

    /// Leases and succeeds until nothing is ready, and gives the jobs' ids in the order of their starts.
    @discardableResult
    func runAll(_ count: Int = 1, group: String = "g") async throws -> [String] {
        var ids: [String] = []
        try await untilNothingIsLeft {
            let tasks = try await lease(count, group: group)
            if tasks.isEmpty { return false }
            ids += tasks.map(\.job.id)
            try await succeed(tasks)
            try await settle(4)
            return true
        }
        return ids
    }
}
