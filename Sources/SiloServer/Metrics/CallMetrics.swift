import GRPC
import SiloTelemetry
import Synchronization

/// Counts gRPC calls by method and status.
final class CallMetrics: Sendable {
    private final class Method: Sendable {
        let labels: MetricLabels
        let codes: [(labels: MetricLabels, counter: Counter)]
        let seconds = Histogram(.latencies)

        init(_ name: String) {
            let labels = MetricLabels("method", name)
            self.labels = labels
            codes = Status.Code.allCases.map { (labels.adding("status", "\($0)"), Counter()) }
        }
    }
    private let methods = Mutex<[Method]>([])

    /// Who is told of the calls of a method; see `ServerOptions.observer`.
    /// - Parameter path: nil for those that are not served.
    func observer(of path: String?) -> CallObserver {
        // Upstream's label is the last part of the path.
        let method = Method(path.map { String($0.split(separator: "/").last ?? "") } ?? "unknown")
        methods.withLock { $0.append(method) }
        return { code, duration in
            method.codes[Int(code.rawValue)].counter.add()
            let (seconds, attoseconds) = duration.components
            method.seconds.record(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
        }
    }

    func show(on page: inout MetricsPage) {
        for method in methods.withLock({ $0 }) {
            for (labels, counter) in method.codes where counter.value > 0 { page.add(MetricNames.calls, labels, counter) }
            page.add(MetricNames.callSeconds, method.labels, method.seconds)
        }
    }
}
