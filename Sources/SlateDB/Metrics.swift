import SlateDBBinding

/// What a database counts. Pass it at opening; read it at any time.
public final class Metrics: Sendable {
    let recorder = Recorder()

    public init() {}

    public enum Value: Equatable, Sendable {
        case counter(UInt64)
        case gauge(Int64)
        /// Sum and count of what was recorded.
        case histogram(sum: Double, count: UInt64)
    }

    public struct Sample: Equatable, Sendable {
        public let name: String
        public let labels: [String: String]
        public let help: String
        public let value: Value
    }

    /// All values as they are now.
    public func samples() -> [Sample] {
        recorder.registry.snapshot().map { metric in
            let value: Value
            switch metric.value {
            case .counter(let count): value = .counter(count)
            case .gauge(let level), .upDownCounter(let level): value = .gauge(level)
            case .histogram(let histogram): value = .histogram(sum: histogram.sum, count: histogram.count)
            }
            let labels = Dictionary(metric.labels.map { ($0.key, $0.value) }) { first, _ in first }
            return Sample(name: metric.name, labels: labels, help: metric.description, value: value)
        }
    }
}

/// Hands the library's own counters to it: counting stays inside the library.
final class Recorder: MetricsRecorder {
    let registry = DefaultMetricsRecorder()

    func registerCounter(name: String, description: String?, labels: [MetricLabel]) -> any Counter {
        registry.registerCounter(name: name, description: description, labels: labels)
    }

    func registerGauge(name: String, description: String?, labels: [MetricLabel]) -> any Gauge {
        registry.registerGauge(name: name, description: description, labels: labels)
    }

    func registerUpDownCounter(name: String, description: String?, labels: [MetricLabel]) -> any UpDownCounter {
        registry.registerUpDownCounter(name: name, description: description, labels: labels)
    }

    func registerHistogram(
        name: String, description: String?, labels: [MetricLabel], boundaries: [Double]
    ) -> any Histogram {
        registry.registerHistogram(name: name, description: description, labels: labels, boundaries: boundaries)
    }
}
