import Protobuf
import SiloCore
public import SiloStore

/// What the loop found out about a job that is to be explained.
public struct Findings: Sendable {
    /// Lines of one limit that are looked at, and rows that are read to count and name jobs, at most.
    static let linesMax = 256
    static let rowsMax = 10_000
    static let holdersMax = 20

    enum Place {
        case timer(Timestamp, isAsking: Bool, rateChecks: UInt32)
        case waiting
        case ready(inQueue: UInt64)
    }
    struct WaitingLine {
        let line: LineID
        let head: Position
        /// Of a line at a bucket: what its jobs say of the bucket.
        let rate: StorageV1.RateLimit?
    }
    enum Lost {
        case hasRoom, lacksRoom
    }
    struct Limit {
        let kind: Explanation.Obstacle.Kind
        let key: String
        let blocks: Bool
        let max: UInt64
        let inUse: UInt64
        let pause: StorageV1.Pause?
        let releases: Pace
        let lines: [WaitingLine]
        /// The job holds a slot of it already: only its pause is in the way.
        var isHeld = false
        /// The job is ready and had a slot of it, which was dropped.
        var lost: Lost?
        /// The next slot that comes free is kept for jobs of another line.
        var isKept = false
        var bucket: (state: Bucket, rate: StorageV1.RateLimit)?
    }

    let moment: Moment
    var now: Timestamp { moment.wall }
    let tenant: Tenant
    let id: JobID
    let stored: StoredJob
    let lastPoll: Timestamp?
    let workersWaiting: Int
    let leasePace: Pace
    let drops: UInt32
    let asksRateLimiter: Bool
    var pauses: [(target: PauseTarget, pause: StorageV1.Pause)] = []
    var place: Place?
    /// Where it stands, or would, among those that are ready or wait at a limit.
    var position = Position(from: .max)
    var limits: [Limit] = []

    /// The whole explanation, with what rows tell. Reads a bounded number of them.
    /// - Parameter reader: a view of the shard as it is now.
    public func explanation(_ reader: any StoreReader) async throws(StoreError) -> Explanation {
        var explanation = Explanation(
            status: stored.state, taskGroup: TaskGroup(stored.job.taskGroup), attempt: stored.attempt,
            workersWaiting: workersWaiting, lastPoll: lastPoll
        )
        guard let place else {
            explanation.summary = settledSummary
            return explanation
        }
        for (target, pause) in pauses { explanation.obstacles.append(obstacle(target, pause)) }
        switch place {
        case .timer(let due, let isAsking, let checks):
            explanation.earliestStart = isAsking ? nil : due
            explanation.obstacles.append(timer(due, isAsking: isAsking, checks: checks))
        case .waiting:
            break
        case .ready(let count):
            if let ready = try await readyQueue(count, reader) { explanation.obstacles.append(ready) }
        }
        for limit in limits { explanation.obstacles += try await obstacles(limit, reader) }
        if workersWaiting == 0, lastPoll.map({ now - $0 > Self.idleMilliseconds }) ?? true {
            // Jobs that are ready before it wait for the same.
            let place = explanation.obstacles.firstIndex { $0.kind == .readyQueue } ?? explanation.obstacles.count
            explanation.obstacles.insert(noWorker(isReady: isReady && limits.allSatisfy { $0.lost != nil }), at: place)
        }
        explanation.obstacles = explanation.obstacles.filter(\.blocksNow) + explanation.obstacles.filter { !$0.blocksNow }
        estimate(&explanation)
        explanation.summary = summary(explanation)
        return explanation
    }

    /// A group that nobody has asked for in this time has no workers.
    private static let idleMilliseconds: Int64 = 60_000

    private var isReady: Bool { if case .ready = place { true } else { false } }

    // MARK: Obstacles

    private func obstacle(_ target: PauseTarget, _ pause: StorageV1.Pause) -> Explanation.Obstacle {
        var obstacle = Explanation.Obstacle(kind: .paused, blocksNow: isReady)
        let what = switch target {
        case .tenant: tenant == .none ? "everything" : "its tenant"
        case .group(let group, of: nil): "task group \(group)"
        case .group(let group, of: .some): "task group \(group) of its tenant"
        case .limit(let key, _): "limit \(key)"
        }
        obstacle.text = "\(what) has been paused for \(Self.length(now - Timestamp(pause.sinceMs)))\(Self.because(pause))"
        return obstacle
    }

    private func timer(_ due: Timestamp, isAsking: Bool, checks: UInt32) -> Explanation.Obstacle {
        var obstacle = Explanation.Obstacle(kind: isAsking ? .externalRate : .timer, blocksNow: true)
        obstacle.until = due
        if isAsking {
            obstacle.text =
                "the external rate limiter is being asked; without an answer it is asked again in \(Self.length(due - now))"
        } else if stored.delay != nil, checks > 0 || stored.pendingStart.map({ $0 <= now }) ?? false {
            obstacle.text = "\(refusals(checks)); it asks again in \(Self.length(due - now))"
        } else if stored.attempt > 1 {
            obstacle.text = "attempt \(stored.attempt) waits \(Self.length(due - now)) more after the one before failed"
        } else {
            obstacle.text = "it starts in \(Self.length(due - now)), as it was asked to"
        }
        return obstacle
    }

    private func refusals(_ checks: UInt32) -> String {
        let times = Counted.text(checks, "time")
        if asksRateLimiter { return "the external rate limiter was asked \(times) and has not let it start" }
        return checks == 0 ? "a rate limit has no room any more" : "a rate limit had no room \(times)"
    }

    private func noWorker(isReady: Bool) -> Explanation.Obstacle {
        var obstacle = Explanation.Obstacle(kind: .noWorker, blocksNow: isReady && pauses.isEmpty)
        let when = lastPoll.map { "one last did \(Self.ago(now - $0))" } ?? "none has since the shard was opened"
        obstacle.text = "no worker asks for task group \(stored.job.taskGroup): \(when)"
        return obstacle
    }

    private func readyQueue(_ count: UInt64, _ reader: any StoreReader) async throws(StoreError) -> Explanation.Obstacle? {
        let keys = TenantKeys(tenant)
        let group = TaskGroup(stored.job.taskGroup)
        let range = keys.ready(group, from: Position(from: 0))
        let ahead = try await reader.count(from: range.start, to: keys.ready(group, position), limit: Self.rowsMax)
        guard ahead > 0 else { return nil }
        var obstacle = Explanation.Obstacle(kind: .readyQueue, blocksNow: pauses.isEmpty)
        obstacle.ahead = UInt64(ahead)
        obstacle.aheadIsLeast = ahead == Self.rowsMax
        obstacle.estimate = leasePace.estimate(obstacle.ahead + 1, at: moment.steady)
        let verb = ahead == 1 ? "is" : "are"
        // Without tenancy there are no others.
        obstacle.text = tenant == .none
            ? "\(obstacle.aheadText) \(verb) ready before it"
            : "\(obstacle.aheadText) of its tenant \(verb) ready before it; other tenants take turns with them"
        return obstacle
    }

    private func obstacles(_ limit: Limit, _ reader: any StoreReader) async throws(StoreError) -> [Explanation.Obstacle] {
        var found: [Explanation.Obstacle] = []
        if let pause = limit.pause {
            var paused = Explanation.Obstacle(kind: .paused, blocksNow: limit.blocks)
            paused.key = limit.key
            paused.text =
                "limit \(limit.key) has been paused for \(Self.length(now - Timestamp(pause.sinceMs)))\(Self.because(pause))"
            found.append(paused)
            if limit.isHeld || limit.inUse < limit.max { return found }
        }
        // One that has lost its slot asks for another when its turn comes.
        var obstacle = Explanation.Obstacle(
            kind: limit.kind, blocksNow: limit.blocks && limit.lost == nil, key: limit.key, max: limit.max, inUse: limit.inUse)
        if limit.lost == .hasRoom {
            obstacle.estimate = 0
            obstacle.text = "its slot of limit \(limit.key) was dropped; it takes another when its turn comes"
            return found + [obstacle]
        }
        let (ahead, hitsAhead, isLeast) = try await ahead(at: limit, reader)
        obstacle.ahead = ahead
        obstacle.aheadIsLeast = isLeast
        if let (state, rate) = limit.bucket {
            // It is no sooner than those who go first, which may allow less. One of another algorithm empties the bucket.
            let rates = before(limit).compactMap(\.rate).filter { $0.algorithm == rate.algorithm }
            let dues = ([state.dueAt(rate, hitsAhead: hitsAhead, now: moment)] + rates.map { state.dueAt($0, now: moment) })
                .map { $0?.date(at: moment) }
            obstacle.until = dues.contains(nil) ? nil : dues.compactMap { $0 }.max()
            let place = ahead == 0 ? "it is first in line" : "\(obstacle.aheadText) \(ahead == 1 ? "is" : "are") before it"
            let due = obstacle.until.map { "; it is due in \(Self.length($0 - now))" } ?? "; jobs that are ready must start first"
            obstacle.text = "rate limit \(limit.key) allows no more now (\(limit.inUse) of \(limit.max) hits); \(place)\(due)"
        } else {
            let holders = try await holders(of: LimitKey(limit.key), count: limit.inUse, reader)
            obstacle.holders = holders
            let missing = limit.inUse >= limit.max ? limit.inUse - limit.max : 0
            // A closed limit opens by a refresh, and a kept slot is taken when others come free: nobody knows when.
            let estimate = limit.releases.estimate(ahead + 1 + missing, at: moment.steady)
            obstacle.estimate = limit.max == 0 || limit.isKept ? nil : estimate
            obstacle.text = (limit.lost == nil ? "" : "its slot was dropped, and ") + slotText(limit, obstacle)
        }
        return found + [obstacle]
    }

    /// The other lines whose first job goes before this one.
    private func before(_ limit: Limit) -> [WaitingLine] {
        let own = LineID(of: stored.job.limits)
        return limit.lines.filter { $0.line != own && $0.head < position }
    }

    private func slotText(_ limit: Limit, _ obstacle: Explanation.Obstacle) -> String {
        let running = obstacle.holders.filter { $0.running != nil }.count
        let ready = obstacle.holders.count - running
        var who: [String] = []
        if running > 0 { who.append("\(running) running") }
        if ready > 0 { who.append("\(ready) ready but not taken by a worker") }
        let held = "\(limit.inUse) of \(limit.max) slots held" + (who.isEmpty ? "" : " (\(who.joined(separator: ", ")))")
        let name = limit.kind == .floating ? "floating limit" : "limit"
        let isKept = limit.isKept && limit.inUse < limit.max
        let lack =
            isKept ? "keeps its free slot for a job that needs others besides and was passed over for long" : "has no free slot"
        let place =
            obstacle.ahead == 0
            ? "it is first in line"
            : "\(obstacle.aheadText) \(obstacle.ahead == 1 ? "waits" : "wait") before it"
        return "\(name) \(limit.key) \(lack): \(held); \(place)"
    }

    // MARK: Reading rows

    /// Jobs that go before this one at a limit, and what they ask of a bucket: those of its own line and of the other lines that
    /// wait there.
    private func ahead(
        at limit: Limit, _ reader: any StoreReader
    ) async throws(StoreError) -> (count: UInt64, hits: Double, isLeast: Bool) {
        let keys = TenantKeys(tenant)
        let own = LineID(of: stored.job.limits)
        var count = 0
        var hits = 0.0
        for line in limit.lines.filter({ $0.line == own }) + before(limit) {
            guard count < Self.rowsMax else { break }
            let jobs = try await reader.count(
                from: keys.waiting(line.line, from: Position(from: 0)).start, to: keys.waiting(line.line, position),
                limit: Self.rowsMax - count
            )
            count += jobs
            hits += Double(jobs) * Double(line.rate?.hits ?? 0)
        }
        return (UInt64(count), hits, count >= Self.rowsMax || limit.lines.count >= Self.linesMax)
    }

    private func holders(
        of key: LimitKey, count: UInt64, _ reader: any StoreReader
    ) async throws(StoreError) -> [Explanation.Holder] {
        let keys = TenantKeys(tenant)
        let wanted = min(Self.holdersMax, Int(clamping: count))
        let slots = try await reader.get(keys.slots(key)).flatMap { try? StorageV1.Slots(serializedBytes: $0) }
        let keyDrops = slots.map { $0.drops == drops ? $0.keyDrops : 0 } ?? 0
        var found: [Explanation.Holder] = []
        try await reader.look(from: keys.leases.start, to: keys.leases.end, limit: Self.rowsMax) { row in
            guard let lease = try? StorageV1.Lease(serializedBytes: row.value), let job = keys.parseJob(row.key),
                lease.hold == drops, lease.keyHold >= keyDrops, lease.slots.contains(where: { LimitKey($0) == key })
            else { return true }
            found.append(Explanation.Holder(
                job: job, group: TaskGroup(lease.taskGroup),
                running: (UUID(bytes: lease.taskId).map { TaskID($0) }, lease.workerId, Timestamp(lease.startedAtMs))
            ))
            return found.count < wanted
        }
        guard found.count < wanted else { return found }
        try await reader.look(from: keys.ready.start, to: keys.ready.end, limit: Self.rowsMax) { row in
            guard let task = try? StorageV1.Task(serializedBytes: row.value), let job = keys.parseOrdered(row.key)?.job,
                task.hold == drops, task.keyHold >= keyDrops, task.jobLimits.slotKeys.contains(key)
            else { return true }
            found.append(Explanation.Holder(job: job, group: task.jobGroup))
            return found.count < wanted
        }
        return found
    }

    // MARK: What it comes to

    private func estimate(_ explanation: inout Explanation) {
        var sure: Timestamp? = explanation.earliestStart
        var guess: Timestamp?
        var isKnown = true
        for obstacle in explanation.obstacles {
            switch obstacle.kind {
            case .rate:
                if obstacle.blocksNow, let until = obstacle.until { sure = max(sure ?? until, until) }
                if let until = obstacle.until { guess = max(guess ?? until, until) } else { isKnown = false }
            case .concurrency, .floating, .readyQueue:
                if let wait = obstacle.estimate { guess = max(guess ?? now, now + wait) } else { isKnown = false }
            case .paused, .noWorker, .externalRate: isKnown = false
            case .timer: break
            }
        }
        explanation.earliestStart = sure
        guard isKnown else { return }
        explanation.estimatedStart = [sure, guess].compactMap { $0 }.max()
    }

    private var settledSummary: String {
        switch stored.state {
        case .running:
            let lease = stored.lease
            let since = Self.ago(now - Timestamp(lease?.startedAtMs ?? 0))
            let told = stored.cancelledAt == nil ? "" : "; it has been cancelled, and its worker is told at its next heartbeat"
            return "It is running: attempt \(stored.attempt), worker \(lease?.workerId ?? ""), begun \(since)\(told)."
        case .scheduled:
            return "It is scheduled."
        default:
            return "It has ended: \(stored.state.rawValue), \(Self.ago(now - stored.changedAt))."
        }
    }

    private func summary(_ explanation: Explanation) -> String {
        guard let first = explanation.obstacles.first else {
            return "Nothing is in its way: a worker that asks for task group \(stored.job.taskGroup) gets it next."
        }
        var text = "It waits: " + first.text
        let others = explanation.obstacles.count - 1
        if others > 0 { text += "; \(Counted.text(others, "more thing")) in its way" }
        if first.until == nil, let estimate = explanation.estimatedStart {
            text += "; at the pace of late it starts in about \(Self.length(estimate - now))"
        }
        return text + "."
    }

    private static func because(_ pause: StorageV1.Pause) -> String { pause.reason.isEmpty ? "" : " (\(pause.reason))" }
    private static func ago(_ milliseconds: Int64) -> String { length(milliseconds) + " ago" }

    /// A length of time for people.
    static func length(_ milliseconds: Int64) -> String {
        let milliseconds = max(0, milliseconds)
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<120_000: return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
        case ..<7_200_000: return "\(milliseconds / 60_000) min"
        case ..<172_800_000: return "\(milliseconds / 3_600_000) h"
        default: return "\(milliseconds / 86_400_000) days"
        }
    }
}

extension Explanation.Obstacle {
    fileprivate var aheadText: String { "\(aheadIsLeast ? "at least " : "")\(Counted.text(ahead, "job"))" }
}

extension StoreReader {
    /// Rows of a range, counted up to a limit.
    fileprivate func count(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> Int {
        var count = 0
        try await look(from: start, to: end, limit: limit) { _ in
            count += 1
            return true
        }
        return count
    }

    /// Shows the first rows of a range until `body` has seen enough.
    fileprivate func look(
        from start: Bytes, to end: Bytes, limit: Int, _ body: (Row) -> Bool
    ) async throws(StoreError) {
        var start = start
        var left = limit
        while left > 0, start.lexicographicallyPrecedes(end) {
            let rows = try await scan(from: start, to: end, limit: min(1024, left))
            for row in rows where !body(row) { return }
            guard rows.count == min(1024, left), let last = rows.last else { return }
            left -= rows.count
            start = last.key + [0]
        }
    }
}
