import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// A shard over a memory store, with a clock that the test moves, and short words for what a test does to it.
final class Bench: Sendable {
    let clock: ManualClock
    let memory: MemoryStore
    let store: FaultyStore
    let shard: Shard
    let settings: EngineSettings
    let limiter: (any RateLimiter)?
    let finder: (any JobFinder)?

    static let tenant = Tenant("acme")

    /// Raised when a call of the store is held, somebody sleeps by the clock, or a turn of the shard's loop is over.
    let changes: Signal
    /// Turns of the loop that are over, but for the answers of the last one.
    let turns: Tally

    /// How often the database was opened before: each process draws other identifiers.
    private let generation: UInt64

    private init(
        _ memory: (ManualClock) -> MemoryStore, _ settings: EngineSettings, at now: Timestamp?, _ limiter: (any RateLimiter)?,
        _ finder: (any JobFinder)?, generation: UInt64, ofProcessOf other: Bench? = nil, dates: RetentionClock? = nil
    ) async throws {
        self.generation = generation
        self.limiter = limiter
        self.finder = finder
        let changes = other?.changes ?? Signal()
        let turns = Tally(changes: changes)
        self.changes = changes
        self.turns = turns
        clock = other?.clock ?? ManualClock(changes: changes)
        if let now { clock.advance(milliseconds: now - clock.now) }
        self.memory = memory(clock)
        self.settings = settings
        store = FaultyStore(self.memory, changes: changes)
        shard = try await Shard.open(
            store, settings: settings, clock: clock, random: SeededRandom(seed: generation), rateLimiter: limiter,
            dates: dates, finder: finder, events: AfterTurns { turns.add() })
    }

    static func open(
        _ memory: MemoryStore? = nil, at now: Timestamp? = nil, asking limiter: (any RateLimiter)? = nil,
        finding finder: (any JobFinder)? = nil, _ change: (inout EngineSettings) -> Void = { _ in }
    ) async throws -> Bench {
        var settings = EngineSettings()
        // Most tests' workers send no heartbeats, and are meant to be heard all the same.
        settings.unheardLeasesMax = 0
        change(&settings)
        return try await Bench({ memory ?? MemoryStore(clock: $0) }, settings, at: now, limiter, finder, generation: 0)
    }

    /// The process dies and another opens what was durable, on a machine whose clock shows `now`.
    func crash(at now: Timestamp? = nil) async throws -> Bench {
        try await Bench({ memory.crash(clock: $0) }, settings, at: now ?? clock.now, limiter, finder, generation: generation + 1)
    }

    /// The shard is opened anew by the same process, as after a failure of its store.
    func reopen(_ dates: RetentionClock) async throws -> Bench {
        try await Bench(
            { memory.crash(clock: $0) }, settings, at: nil, limiter, finder, generation: generation + 1, ofProcessOf: self,
            dates: dates)
    }

    var now: Timestamp { clock.now }

    // MARK: Operations

    @discardableResult
    func enqueue(
        _ id: String? = nil, tenant: Tenant = Bench.tenant, priority: UInt32 = 50, after wait: Int64? = nil,
        retries: UInt32? = nil,
        group: String = "g", payload: Bytes = [], limits: [StorageV1.Limit] = [], metadata: TextMap<String> = [:],
        retain: Int64 = 0
    ) async throws -> JobID {
        let start = wait.map { clock.now.milliseconds + $0 } ?? 0
        return try await shard.run(
            Enqueue(
                tenant: tenant, id: id.map { JobID($0) }, priority: priority, startAtMs: start,
                retryPolicy: retries.map { policy($0) }, payload: payload, limits: limits, metadata: metadata, taskGroup: group,
                retainMs: retain
            )
        )
    }

    func lease(_ count: Int = 1, group: String = "g", worker: String = "w", wait: Int64 = 0) async throws -> [LeasedTask] {
        try await leased(count, group: group, worker: worker, wait: wait).tasks
    }

    func leased(
        _ count: Int = 1, group: String = "g", worker: String = "w", tenants: Set<Tenant>? = nil, wait: Int64 = 0
    ) async throws -> Leased {
        let lease = Lease(worker: worker, group: group, tenants: tenants, taskCountMax: count)
        return try await shard.lease(lease, waitMilliseconds: wait)
    }

    func leaseOne(group: String = "g", worker: String = "w") async throws -> LeasedTask {
        try #require(try await lease(1, group: group, worker: worker).first)
    }

    /// The ids of up to `count` leased jobs, in order.
    func drain(_ count: Int, group: String = "g") async throws -> [String] {
        try await lease(count, group: group).map(\.job.id)
    }

    func succeed(_ task: LeasedTask) async throws { try await report(task, .success(result: [1])) }
    func fail(_ task: LeasedTask) async throws { try await report(task, .failure(code: "BROKEN", data: [2])) }

    func report(_ task: LeasedTask, _ outcome: ReportOutcome.Outcome) async throws {
        try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: outcome))
    }

    func cancel(_ id: String) async throws { try await shard.run(Cancel(tenant: Bench.tenant, id: JobID(id))) }
    func restart(_ id: String) async throws { try await shard.run(Restart(tenant: Bench.tenant, id: JobID(id))) }
    func expedite(_ id: String) async throws { try await shard.run(Expedite(tenant: Bench.tenant, id: JobID(id))) }
    func delete(_ id: String) async throws { try await shard.run(Delete(tenant: Bench.tenant, id: JobID(id))) }

    @discardableResult
    func leaseJob(_ id: String, worker: String = "w") async throws -> LeasedTask {
        try await shard.run(LeaseJob(tenant: Bench.tenant, id: JobID(id), worker: worker))
    }

    @discardableResult
    func heartbeat(_ task: LeasedTask, worker: String = "w") async throws -> Timestamp? {
        try await shard.run(Heartbeat(tenant: task.tenant, task: task.id, worker: worker))
    }

    /// Moves the clock, and waits for the loop to have looked at it.
    func pass(_ milliseconds: Int64) async throws {
        clock.advance(milliseconds: milliseconds)
        try await poke()
    }

    /// Runs all that `post` submits in one turn of the loop, in order, as one batch.
    func together(_ post: () -> Void) async throws {
        store.set { $0.holdReads = true }
        shard.submit(Cancel(tenant: Bench.tenant, id: JobID("nobody"))) { _ in }
        try await until("the loop is held up") { store.heldCount == 1 }
        post()
        store.set { $0.holdReads = false }
    }

    /// Returns after one more turn of the loop.
    func poke() async throws { _ = try await lease(0) }

    /// Returns once `condition` holds, which is asked whenever `changes` is raised.
    func until(_ what: String, isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool) async throws {
        try await changes.wait(for: what, until: condition)
    }

    /// Returns when the last turn of the loop has answered whom it answers, though nothing becomes durable: after one turn more.
    func untilTurnIsAnswered() async throws {
        let before = turns.value
        shard.submit(Cancel(tenant: Bench.tenant, id: JobID("nobody"))) { _ in }
        try await turns.until(before + 1)
    }

    // MARK: What is stored

    func job(_ id: String, tenant: Tenant = Bench.tenant) async throws -> StoredJob? {
        let memory = memory
        return try await StoredJob.read(JobID(id), TenantKeys(tenant)) { key throws(StoreError) in try await memory.get(key) }
    }

    /// When its pending attempt starts, by the wall clock as it is now.
    func nextStart(_ id: String) async throws -> Timestamp? { try await job(id)?.nextStart(at: shard.moment) }

    func state(_ id: String) async throws -> JobStatusName? { try await job(id)?.state }

    /// Attempts of a job that ended, in order.
    func attempts(_ id: String) async throws -> [StorageV1.Attempt] {
        let range = TenantKeys(Bench.tenant).attempts(of: JobID(id))
        let rows = try await memory.scan(from: range.start, to: range.end, limit: .max)
        let earlier = try rows.map { try StorageV1.Attempt(serializedBytes: $0.value) }
        return earlier + (try await job(id)?.status?.lastAttempt.map { [$0] } ?? [])
    }

    /// What the rows break, by a recount.
    var violations: [String] { ShardAudit(memory.rows).violations }

    /// Checks the rows, and that memory counts what they say, then closes.
    /// - Parameter healed: what the test broke on purpose.
    func finish(healed: [HealedFault: Int] = [:], _ location: SourceLocation = #_sourceLocation) async throws {
        let audit = ShardAudit(memory.rows)
        #expect(audit.violations == [], sourceLocation: location)
        #expect(audit.stuckLines == [], sourceLocation: location)
        #expect(shard.counts.healed == healed, "broken invariants", sourceLocation: location)
        #expect(shard.counts.total == Int64(audit.total), "total", sourceLocation: location)
        #expect(shard.counts.completed == Int64(audit.completed), "completed", sourceLocation: location)
        #expect(shard.groups.mapValues(\.jobs).filter { $0.value != JobCounts() } == storedLevels, sourceLocation: location)
        try await shard.close()
    }
}

extension Bench {
    /// The jobs of each group, as the directory counts them.
    private var storedLevels: [TaskGroup: JobCounts] {
        var levels: [TaskGroup: JobCounts] = [:]
        for row in memory.rows {
            guard case .queue(_, let group)? = ShardKeys.parse(row.key),
                let counts = try? StorageV1.QueueCounts(serializedBytes: row.value)
            else { continue }
            let name = shard.groups[group] == nil ? "other" : group
            levels[name, default: JobCounts()].scheduled += Int64(counts.dates + counts.delays)
            levels[name, default: JobCounts()].waiting += Int64(counts.waiting)
            levels[name, default: JobCounts()].ready += Int64(counts.ready)
            levels[name, default: JobCounts()].running += Int64(counts.leased)
            levels[name, default: JobCounts()].succeeded += Int64(counts.succeeded)
            levels[name, default: JobCounts()].failed += Int64(counts.failed)
            levels[name, default: JobCounts()].cancelled += Int64(counts.cancelled)
        }
        return levels
    }
}

/// A retry policy with waits of 2, 4, 8 ... seconds.
func policy(
    _ retries: UInt32, initial: Int64 = 1000, max: Int64 = .max, factor: Double = 2, randomize: Bool = false
) -> StorageV1.RetryPolicy {
    var policy = StorageV1.RetryPolicy()
    policy.retryCount = retries
    policy.initialIntervalMs = initial
    policy.maxIntervalMs = max
    policy.backoffFactor = factor
    policy.randomizeInterval = randomize
    return policy
}

/// Does `round` again and again until it finds nothing to do.
/// - Throws: `NoEnd` when it finds something in as many rounds as no test needs.
func untilNothingIsLeft(
    isolation: isolated (any Actor)? = #isolation, _ round: () async throws -> Bool
) async throws {
    for _ in 0..<1000 where try await !round() { return }
    throw NoEnd()
}

struct NoEnd: Error, CustomStringConvertible {
    var description: String { "there is always more to do, even after 1000 rounds" }
}

/// Runs `body` and says with which `SiloError` it was refused; nil when it was not.
func refusal(_ body: () async throws -> Void) async throws -> SiloError? {
    do {
        try await body()
        return nil
    } catch let error as SiloError {
        return error
    }
}

/// Says that a turn of a shard's loop is over and its counts are to be read, before anybody is answered.
struct AfterTurns: EngineEvents {
    let tell: @Sendable () -> Void

    init(_ tell: @escaping @Sendable () -> Void) { self.tell = tell }

    func turnEnded(_ batch: BatchSize) { tell() }
}
