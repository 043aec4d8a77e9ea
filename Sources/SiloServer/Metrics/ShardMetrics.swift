import Glibc
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SiloWeb
import Synchronization

/// Counts what a shard tells of its work. It goes on counting when the shard is opened anew.
final class ShardMetrics: EngineEvents {
    private enum Stage: Int, CaseIterable {
        case wait, run, write, flush, answer
    }
    let labels: MetricLabels
    /// In the order of `Stage`.
    private let stages: [(labels: MetricLabels, histogram: Histogram)]
    // When the stage under way began, in microseconds. The loop has one, and the committer.
    private let loopMark = Atomic<Int64>(0)
    private let committerMark = Atomic<Int64>(0)

    private let turns = Counter()
    private let batchRows = Histogram(.keys)
    private let batchBytes = Counter()
    /// Written and not covered by a flush yet, and what the flush under way covers.
    private let unflushedBytes = Atomic<Int>(0)
    private let coveredBytes = Atomic<Int>(0)
    private let flushedBytes = Counter()

    private let enqueued = Counter()
    private let completed: [(labels: MetricLabels, counter: Counter)]
    private let expired = Counter()
    /// Over all groups and finely, for the web page.
    private let readyToStart = Histogram(.fine)
    private let runTime = Histogram(.fine)
    private let granted: [(labels: MetricLabels, counter: Counter)]
    private let tenantTurns = Counter()
    private let bulk: [StorageV1.BulkVerb: BulkMetrics]
    private let measured: MeasuredGroups
    private let groups: NamedMetrics<TaskGroup, GroupMetrics>
    private let branches: [(labels: MetricLabels, counter: Counter)]
    private let mended: [HealedFault: (labels: MetricLabels, counter: Counter)]

    init(_ shard: ShardID, groupsMax: Int) {
        let labels = MetricLabels("shard", shard.description)
        self.labels = labels
        func counters(_ name: String, _ values: [String]) -> [(labels: MetricLabels, counter: Counter)] {
            values.map { (labels.adding(name, $0), Counter()) }
        }
        stages = Stage.allCases.map { (labels.adding("stage", "\($0)"), Histogram(.stages)) }
        completed = counters("status", ["succeeded", "failed", "cancelled"])
        granted = counters("path", ["immediate", "scanned"])
        let measured = MeasuredGroups(countMax: groupsMax)
        self.measured = measured
        groups = NamedMetrics(
            others: MeasuredGroups.other, isNamed: { measured.contains($0) },
            make: { GroupMetrics($0.text, labels.adding("task_group", $0.text)) },
            add: { $1.add($0) })
        branches = counters("branch", Branch.allCases.map { "\($0)" })
        bulk = Dictionary(
            uniqueKeysWithValues: [
                (StorageV1.BulkVerb.cancel, "cancel"), (.restart, "restart"), (.expedite, "expedite"), (.delete, "delete"),
            ].map { ($0, BulkMetrics(labels.adding("action", $1))) })
        mended = Dictionary(uniqueKeysWithValues: HealedFault.allCases.map {
            ($0, (labels.adding("fault", $0.rawValue), Counter()))
        })
    }

    // MARK: Events

    func turnBegan() {
        turns.add()
        loopMark.store(Self.now, ordering: .relaxed)
    }

    func turnRan(_ tally: TurnTally) {
        end(.run, loopMark)
        if let wait = tally.longestWait { record(.wait, wait * 1000) }
        count(tally)
    }

    func turnEnded(_ batch: BatchSize) {
        guard batch.rows > 0 else { return }
        end(.write, loopMark)
        batchRows.record(Int64(batch.rows))
        let bytes = batch.bytes
        batchBytes.add(bytes)
        unflushedBytes.wrappingAdd(bytes, ordering: .relaxed)
    }

    func flushBegan() {
        coveredBytes.store(unflushedBytes.exchange(0, ordering: .relaxed), ordering: .relaxed)
        committerMark.store(Self.now, ordering: .relaxed)
    }

    func flushEnded() {
        end(.flush, committerMark)
        flushedBytes.add(coveredBytes.load(ordering: .relaxed))
    }

    func answered() { end(.answer, committerMark) }

    func reached(_ branch: Branch, count: Int) { branches[branch.rawValue].counter.add(count) }

    func healed(_ fault: HealedFault, count: Int, isFirst: Bool) { mended[fault]?.counter.add(count) }

    func polled(_ group: TaskGroup) { groups.count(group) { $0.polled() } }

    func measuredWithOthers(_ group: TaskGroup) { groups.merge(group) }

    var measuredGroups: MeasuredGroups? { measured }

    /// There may be more task groups than have metrics of their own.
    var hasOtherGroups: Bool { measured.isFull }

    private func count(_ tally: TurnTally) {
        enqueued.add(tally.enqueued)
        for (counter, count) in zip(completed, [tally.succeeded, tally.failed, tally.cancelled]) { counter.counter.add(count) }
        for (counter, count) in zip(granted, [tally.grantedAtOnce, tally.grantedFromLine]) { counter.counter.add(count) }
        expired.add(tally.leasesExpired)
        tenantTurns.add(tally.tenantTurns)
        for step in tally.bulk { bulk[step.verb]?.count(step) }
        for group in tally.groups {
            groups.count(group.group) { $0.count(group) }
            for lease in group.leases { readyToStart.record(lease.sinceStart) }
            for run in group.runs { runTime.record(run) }
        }
    }

    private func end(_ stage: Stage, _ mark: borrowing Atomic<Int64>) {
        let now = Self.now
        record(stage, now - mark.exchange(now, ordering: .relaxed))
    }

    private func record(_ stage: Stage, _ microseconds: Int64) {
        stages[stage.rawValue].histogram.record(microseconds)
    }

    /// Microseconds of the monotonic clock.
    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    // MARK: The pages

    /// Adds what it counted to the figures of a server.
    func add(to figures: inout Figures) {
        figures.enqueued += enqueued.value
        figures.started += groups.all.reduce(0) { $0 + $1.started }
        for (count, path) in zip(completed, [\Figures.succeeded, \Figures.failed, \Figures.cancelled]) {
            figures[keyPath: path] += count.counter.value
        }
        figures.bounds = HistogramBuckets.fine.bounds
        figures.groupBounds = HistogramBuckets.waits.bounds.map { $0 / 1000 }
        for group in groups.all { group.add(to: &figures) }
        figures.readyToStart.add(readyToStart.each)
        figures.runTime.add(runTime.each)
    }

    func show(on page: inout MetricsPage) {
        page.add(MetricNames.turns, labels, turns)
        page.add(MetricNames.batchRows, labels, batchRows)
        page.add(MetricNames.batchBytes, labels, batchBytes)
        page.add(MetricNames.flushedBytes, labels, flushedBytes)
        for entry in stages { page.add(MetricNames.stages, entry.labels, entry.histogram) }
        page.add(MetricNames.enqueued, labels, enqueued)
        for (labels, counter) in completed { page.add(MetricNames.completed, labels, counter) }
        page.add(MetricNames.expired, labels, expired)
        for (labels, counter) in granted { page.add(MetricNames.granted, labels, counter) }
        page.add(MetricNames.tenantTurns, labels, tenantTurns)
        for group in groups.all { group.show(on: &page) }
        for metrics in bulk.values { metrics.show(on: &page) }
        for (labels, counter) in branches where counter.value > 0 { page.add(MetricNames.branches, labels, counter) }
        for (labels, counter) in mended.values { page.add(MetricNames.mended, labels, counter) }
    }
}

/// What workers of one task group asked for and got.
private final class GroupMetrics: Sendable {
    private let name: String
    private let labels: MetricLabels
    private let polls = Counter()
    private let dequeued = Counter()
    private let attempts: [(labels: MetricLabels, counter: Counter)]
    private let sinceStored = Histogram(.waits)
    private let sinceStart = Histogram(.readyMilliseconds)
    private let runTime = Histogram(.waits)

    init(_ name: String, _ labels: MetricLabels) {
        self.name = name
        self.labels = labels
        attempts = ["false", "true"].map { (labels.adding("is_retry", $0), Counter()) }
    }

    var started: UInt64 { dequeued.value }

    func polled() { polls.add() }

    func count(_ tally: GroupTally) {
        polls.add(tally.polls)
        dequeued.add(tally.leases.count)
        for lease in tally.leases {
            attempts[lease.isRetry ? 1 : 0].counter.add()
            sinceStored.record(lease.sinceStored * 1000)
            sinceStart.record(lease.sinceStart)
        }
        for run in tally.runs { runTime.record(run * 1000) }
    }

    func add(_ other: GroupMetrics) {
        polls.add(Int(clamping: other.polls.value))
        dequeued.add(Int(clamping: other.dequeued.value))
        for (own, other) in zip(attempts, other.attempts) { own.counter.add(Int(clamping: other.counter.value)) }
        sinceStored.add(other.sinceStored)
        sinceStart.add(other.sinceStart)
        runTime.add(other.runTime)
    }

    /// Adds what it counted to the figures of a server.
    func add(to figures: inout Figures) {
        let place = figures.groups.firstIndex { $0.name.hasSameBytes(as: name) } ?? figures.groups.endIndex
        if place == figures.groups.endIndex { figures.groups.append(Figures.Group(name)) }
        figures.groups[place].started += dequeued.value
        figures.groups[place].runTime.add(runTime.each)
        figures.groups[place].ended = figures.groups[place].runTime.reduce(0, +)
    }

    func show(on page: inout MetricsPage) {
        page.add(MetricNames.polls, labels, polls)
        page.add(MetricNames.dequeued, labels, dequeued)
        for (labels, counter) in attempts where counter.value > 0 { page.add(MetricNames.attempts, labels, counter) }
        page.add(MetricNames.jobWait, labels, sinceStored)
        page.add(MetricNames.readyToStart, labels, sinceStart)
        page.add(MetricNames.runTime, labels, runTime)
    }
}

extension [UInt64] {
    /// Adds counts place by place.
    fileprivate mutating func add(_ other: [UInt64]) {
        if count < other.count { self += repeatElement(0, count: other.count - count) }
        for (index, count) in other.enumerated() { self[index] += count }
    }
}

/// What bulk actions of one kind came to. Shown once there was one.
private final class BulkMetrics: Sendable {
    private let labels: MetricLabels
    private let done = Counter()
    private let refused = Counter()

    init(_ labels: MetricLabels) { self.labels = labels }

    func count(_ step: BulkTally) {
        done.add(step.done)
        refused.add(step.refused)
    }

    func show(on page: inout MetricsPage) {
        guard done.value + refused.value > 0 else { return }
        page.add(MetricNames.bulkJobs, labels.adding("outcome", "done"), done)
        page.add(MetricNames.bulkJobs, labels.adding("outcome", "refused"), refused)
    }
}
