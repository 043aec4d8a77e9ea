import SiloCore
import SiloStore
import SiloTelemetry
import SlateDB
import Synchronization

/// What SlateDB counts of one shard. A look at all of it takes a while, so a page shows what was seen last, and has it looked at
/// again when that is older than some seconds.
final class StorageMetrics: Sendable {
    private struct Sample {
        let metric: Metric
        let labels: MetricLabels
        let value: Double
        /// Of a summary.
        let count: UInt64?
    }
    private struct State {
        var samples: [Sample] = []
        /// Of the database that they are of.
        var database: ObjectIdentifier?
        var seenAt: Timestamp?
        var isLooking = false
    }
    private let labels: MetricLabels
    private let environment: Environment
    private let state = Mutex(State())
    private static let freshMilliseconds: Int64 = 4000

    init(_ labels: MetricLabels, in environment: Environment) {
        self.labels = labels
        self.environment = environment
    }

    func show(of store: any KeyValueStore, on page: inout MetricsPage) {
        guard let database = ((store as? LoggedStore)?.below ?? store) as? SlateStore, let metrics = database.database.metrics
        else { return }
        let now = environment.clock.steady
        let (samples, looks): ([Sample], Bool) = state.withLock { state in
            if state.database != ObjectIdentifier(metrics) {
                (state.samples, state.seenAt, state.database) = ([], nil, ObjectIdentifier(metrics))
            }
            let isFresh = state.seenAt.map { now - $0 < Self.freshMilliseconds } ?? false
            defer { if !isFresh { state.isLooking = true } }
            return (state.samples, !isFresh && !state.isLooking)
        }
        for sample in samples {
            if let count = sample.count {
                page.add(sample.metric, sample.labels, sum: sample.value, count: count)
            } else {
                page.add(sample.metric, sample.labels, sample.value)
            }
        }
        // Ends by itself, soon.
        if looks { environment.start { self.look(at: metrics) } }
    }

    private func look(at metrics: Metrics) {
        let samples = StorageMetric.sums(of: metrics.samples()).map { entry, labels, value, count in
            Sample(metric: entry.metric, labels: labels.reduce(self.labels) { $0.adding($1.0, $1.1) }, value: value, count: count)
        }
        state.withLock { state in
            state.isLooking = false
            guard state.database == ObjectIdentifier(metrics) else { return }
            state.samples = samples
            state.seenAt = environment.clock.steady
        }
    }
}
