import SiloCore
import SiloTelemetry

/// What a node has for its operators besides calls: what it measures, how far it has come, and the port that shows both.
struct Operators: Sendable {
    /// Nil: nothing is measured.
    let metrics: NodeMetrics?
    let status = NodeStatus()
    /// Nil: it is not wanted, or has no port.
    let page: WebPage?
    /// Nil: there is none, or it could not be had.
    let port: OperatorPort?

    init(_ settings: NodeSettings, _ gate: Gate, allocator: AllocatorFigures?, in environment: Environment, logger: Logger) {
        metrics = settings.metricsAddress.map { _ in NodeMetrics(settings, allocator: allocator) }
        page = settings.hasWebPage ? metrics.map { WebPage(settings, $0, gate, in: environment) } : nil
        port = metrics.flatMap { [status, page] in OperatorPort.start(settings, status, $0, page, logger: logger) }
    }

    /// Shows the node from now on.
    func run(_ core: NodeCore) {
        status.runs(core.shards)
        page?.runs(core)
    }

    func stop() async {
        page?.stop()
        await port?.stop()
    }
}
