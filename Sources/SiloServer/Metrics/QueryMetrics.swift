import SiloCore
import SiloService
import SiloTelemetry
import Synchronization

/// Counts what statements do. One over several shards counts at each of them.
final class QueryMetrics: QueryEvents {
    private final class Shard: Sendable {
        let labels: MetricLabels
        let running = Atomic(0)
        let scanned = Counter()
        let lookedUp = Counter()
        let rejected: [(reason: String, labels: MetricLabels, counter: Counter)]
        let cancelled: [(reason: String, labels: MetricLabels, counter: Counter)]

        init(_ id: ShardID) {
            let labels = MetricLabels("shard", id.description)
            func counters(_ reasons: [String]) -> [(String, MetricLabels, Counter)] {
                reasons.map { ($0, labels.adding("reason", $0), Counter()) }
            }
            self.labels = labels
            rejected = counters(["concurrency", QueryFailure.resultSize.rawValue])
            cancelled = counters([QueryFailure.deadline.rawValue, QueryFailure.disconnect.rawValue])
        }

        func count(_ reason: String) {
            for entry in rejected + cancelled where entry.reason == reason { entry.counter.add() }
        }
    }
    private let shards = Mutex<[ShardID: Shard]>([:])
    private let seconds = Histogram(.latencies)
    private let rows = Counter()
    private let failures = QueryFailure.allCases.map { (kind: $0, labels: MetricLabels("kind", $0.rawValue), counter: Counter()) }

    private func shard(_ id: ShardID) -> Shard {
        shards.withLock { shards in
            let shard = shards[id] ?? Shard(id)
            shards[id] = shard
            return shard
        }
    }

    func statementBegan(_ shards: [ShardID]) {
        for id in shards { shard(id).running.add(1, ordering: .relaxed) }
    }

    func readings(of id: ShardID) -> @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void {
        let shard = shard(id)
        return { scanned, lookedUp in
            if scanned > 0 { shard.scanned.add(scanned) }
            if lookedUp > 0 { shard.lookedUp.add(lookedUp) }
        }
    }

    func statementEnded(_ report: QueryReport) {
        for id in report.shards {
            let shard = shard(id)
            shard.running.subtract(1, ordering: .relaxed)
            if let failure = report.failure { shard.count(failure.rawValue) }
        }
        seconds.record(report.milliseconds * 1000)
        rows.add(report.rows)
        for entry in failures where entry.kind == report.failure { entry.counter.add() }
    }

    func statementRefused(_ shards: [ShardID]) {
        for id in shards { shard(id).count("concurrency") }
    }

    /// - Parameter owned: shards that are shown.
    func show(on page: inout MetricsPage, of owned: [ShardID]) {
        for id in owned {
            let shard = shard(id)
            page.add(MetricNames.queriesRunning, shard.labels, shard.running.load(ordering: .relaxed))
            page.add(MetricNames.queryScannedKeys, shard.labels, shard.scanned)
            page.add(MetricNames.queryLookups, shard.labels, shard.lookedUp)
            for entry in shard.rejected { page.add(MetricNames.queriesRejected, entry.labels, entry.counter) }
            for entry in shard.cancelled { page.add(MetricNames.queriesCancelled, entry.labels, entry.counter) }
        }
        page.add(MetricNames.querySeconds, .none, seconds)
        page.add(MetricNames.queryRows, .none, rows)
        for entry in failures { page.add(MetricNames.queryFailures, entry.labels, entry.counter) }
    }
}
