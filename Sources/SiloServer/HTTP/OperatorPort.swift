import Foundation
import GRPC
import HTTPServer
import SiloCore
import SiloTelemetry
import SiloWeb
import Synchronization

/// The port for operators: whether the server lives, whether it takes calls, what it measures, and the web page.
final class OperatorPort: Sendable {
    static let connectionsMax = 256
    private static let grace = Duration.seconds(2)

    private struct State {
        /// Nil: it has stopped.
        var server: HTTPServer?
        /// A server with a new certificate that takes the place of another.
        var renewing: Task<Void, Never>?
        var isStopping = false
    }
    private let state: Mutex<State>
    private let options: HTTPServerOptions
    private let routes: HTTPRoutes
    private let page: WebPage?
    private let logger: Logger
    /// `host:port`.
    let address: String

    private init(
        _ server: HTTPServer, _ options: HTTPServerOptions, _ routes: HTTPRoutes, _ page: WebPage?, logger: Logger
    ) {
        state = Mutex(State(server: server))
        let host = options.address[..<(options.address.lastIndex(of: ":") ?? options.address.endIndex)]
        address = "\(host):\(server.port)"
        var options = options
        options.address = address
        self.options = options
        self.routes = routes
        self.page = page
        self.logger = logger
    }

    /// Nil, said in the log, when the port cannot be had: the queue is served without (spec/operations.md 2.7).
    static func start(
        _ settings: NodeSettings, _ status: NodeStatus, _ metrics: NodeMetrics, _ page: WebPage?, logger: Logger
    ) -> OperatorPort? {
        guard let address = settings.metricsAddress else { return nil }
        var options = HTTPServerOptions(address: address)
        options.connectionsMax = connectionsMax
        options.tls = settings.tls.map { ($0.certificateChain, $0.privateKey) }
        var routes = routes(settings, status, metrics)
        page?.site.serve(on: &routes)
        do {
            let port = OperatorPort(try HTTPServer.start(options, routes), options, routes, page, logger: logger)
            metrics.registry.add { [weak port] page in
                if let port { page.add(MetricNames.httpConnections, .none, port.connectionCount) }
            }
            return port
        } catch {
            logger.error("there are no metrics and no health pages: their port cannot be had; the queue is served without", [
                "metrics": .init(address), "error": .init(error.reason), "setting": .init(settings.names.metrics),
            ])
            return nil
        }
    }

    static func routes(_ settings: NodeSettings, _ status: NodeStatus, _ metrics: NodeMetrics) -> HTTPRoutes {
        var routes = HTTPRoutes()
        routes.add("GET", "/metrics") { _ in
            .bytes(metrics.registry.page().bytes, type: MetricsPage.contentType)
        }
        routes.add("GET", "/healthz") { _ in .text("ok\n") }
        routes.add("GET", "/readyz") { _ in
            guard let reason = status.reasonNotReady else { return .text("ok\n") }
            return .text("\(reason)\n", status: 503)
        }
        routes.add("GET", "/version") { _ in
            .bytes(Self.versions(settings), type: "application/json")
        }
        return routes
    }

    private static func versions(_ settings: NodeSettings) -> [UInt8] {
        let all = settings.builtFrom.merging(["name": "silo", "version": settings.version]) { _, own in own }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Texts are always representable.
        return Array((try? encoder.encode(all)) ?? Data("{}".utf8)) + [UInt8(ascii: "\n")]
    }

    private var connectionCount: Int { state.withLock { $0.server?.connectionCount ?? 0 } }

    /// Serves with another certificate from now on: a new server takes the port over.
    func renew(_ tls: ServerTLS, in environment: Environment) {
        guard options.tls != nil else { return }
        state.withLock { state in
            guard !state.isStopping else { return }
            let before = state.renewing
            // `stop` awaits it.
            state.renewing = environment.start { [self] in
                await before?.value
                await replace(with: (tls.certificateChain, tls.privateKey))
            }
        }
    }

    private func replace(with tls: (certificateChain: [UInt8], privateKey: [UInt8])) async {
        var options = options
        options.tls = tls
        // Its clients come again.
        page?.site.endStreams()
        await state.withLock { $0.server }?.stop(grace: Self.grace)
        do {
            let server = try HTTPServer.start(options, routes)
            state.withLock { $0.server = server }
        } catch {
            state.withLock { $0.server = nil }
            logger.error("metrics and health pages are gone: their port cannot be had again", ["error": .init(error.reason)])
        }
    }

    func stop() async {
        let renewing = state.withLock { state in
            state.isStopping = true
            return state.renewing
        }
        await renewing?.value
        await state.withLock { $0.server }?.stop(grace: Self.grace)
    }
}
