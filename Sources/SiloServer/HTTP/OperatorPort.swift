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
    static let retryMilliseconds: Int64 = 5000
    private static let grace = Duration.seconds(2)

    typealias TLS = (certificateChain: [UInt8], privateKey: [UInt8])
    typealias Serve = @Sendable (HTTPServerOptions, HTTPRoutes) throws(HTTPListenError) -> HTTPServer

    private struct State {
        /// Nil: it has stopped, or its port could not be had again yet.
        var server: HTTPServer?
        /// What it serves with, or did last; nil: plain text.
        var tls: TLS?
        /// A server with a new certificate that takes the place of another.
        var renewing: Task<Void, Never>?
        var isStopping = false
    }
    private let state: Mutex<State>
    /// With no certificate.
    private let options: HTTPServerOptions
    private let serve: Serve
    private let routes: HTTPRoutes
    private let page: WebPage?
    private let logger: Logger
    /// `host:port`.
    let address: String

    private init(
        _ server: HTTPServer, _ options: HTTPServerOptions, _ serve: @escaping Serve, _ routes: HTTPRoutes, _ page: WebPage?,
        logger: Logger
    ) {
        state = Mutex(State(server: server, tls: options.tls))
        let host = options.address[..<(options.address.lastIndex(of: ":") ?? options.address.endIndex)]
        address = "\(host):\(server.port)"
        var options = options
        options.address = address
        options.tls = nil
        self.options = options
        self.serve = serve
        self.routes = routes
        self.page = page
        self.logger = logger
    }

    /// Nil, said in the log, when the port cannot be had: the queue is served without (spec/operations.md 2.7).
    static func start(
        _ settings: NodeSettings, _ status: NodeStatus, _ metrics: NodeMetrics, _ page: WebPage?, logger: Logger,
        serve: @escaping Serve = { options, routes throws(HTTPListenError) in try HTTPServer.start(options, routes) }
    ) -> OperatorPort? {
        guard let address = settings.metricsAddress else { return nil }
        var options = HTTPServerOptions(address: address)
        options.connectionsMax = connectionsMax
        options.tls = settings.tls.map { ($0.certificateChain, $0.privateKey) }
        var routes = routes(settings, status, metrics)
        page?.site.serve(on: &routes)
        do {
            let port = OperatorPort(try serve(options, routes), options, serve, routes, page, logger: logger)
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
    /// - Returns: what ends when it has; nil: there is no certificate to renew.
    @discardableResult
    func renew(_ tls: ServerTLS, in environment: Environment) -> Task<Void, Never>? {
        state.withLock { state in
            guard state.tls != nil, !state.isStopping else { return nil }
            let before = state.renewing
            // It tries no longer than until now.
            before?.cancel()
            // `stop` awaits it.
            let renewing = environment.start { [self] in
                await before?.value
                await replace(with: (tls.certificateChain, tls.privateKey), in: environment)
            }
            state.renewing = renewing
            return renewing
        }
    }

    /// What gRPC takes, this port's library may refuse: then it goes on with what it had. A port that cannot be had is tried
    /// again until it can be, or the task is cancelled.
    private func replace(with new: TLS, in environment: Environment) async {
        // Its clients come again.
        page?.site.endStreams()
        let (server, old) = state.withLock { state in
            defer { state.server = nil }
            return (state.server, state.tls)
        }
        await server?.stop(grace: Self.grace)
        var isTold = false
        repeat {
            guard let refusal = begin(with: new) else {
                if isTold { logger.info("metrics and health pages are served again") }
                return
            }
            if let old, begin(with: old) == nil {
                return logger.error(
                    "metrics and health pages are served with the certificate of before: the new one cannot be used for them",
                    ["error": .init(refusal.reason)])
            }
            if !isTold {
                logger.error("metrics and health pages are gone until their port can be had again", [
                    "error": .init(refusal.reason), "try_again_ms": .init(Int(Self.retryMilliseconds)),
                ])
            }
            isTold = true
        } while (try? await environment.clock.sleep(milliseconds: Self.retryMilliseconds)) != nil
    }

    /// - Returns: why it does not serve; nil: it does.
    private func begin(with tls: TLS) -> HTTPListenError? {
        var options = options
        options.tls = tls
        do throws(HTTPListenError) {
            let server = try serve(options, routes)
            state.withLock { state in (state.server, state.tls) = (server, tls) }
            return nil
        } catch { return error }
    }

    func stop() async {
        let renewing = state.withLock { state in
            state.isStopping = true
            return state.renewing
        }
        renewing?.cancel()
        await renewing?.value
        await state.withLock { $0.server }?.stop(grace: Self.grace)
    }
}
