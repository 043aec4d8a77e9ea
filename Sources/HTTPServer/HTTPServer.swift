import CMicroHTTPD
import Foundation
import Synchronization

/// A small HTTP/1.1 server, by libmicrohttpd: for what operators and browsers ask, not for the load of the queue.
///
/// A thread of the library serves all connections and waits for nobody. Handlers are async functions on Swift's shared pool.
package final class HTTPServer: Sendable {
    package let port: Int
    private let core: HTTPCore
    private let daemon: Mutex<Daemon?>
    private let watch: Task<Void, Never>

    private init(_ core: HTTPCore, _ daemon: Daemon, port: Int) {
        self.core = core
        self.daemon = Mutex(daemon)
        self.port = port
        // Ends when the server stops.
        watch = Task {
            while (try? await Task.sleep(for: .milliseconds(500))) != nil {
                core.connections.endAbandoned()
                core.connections.endOverdue(at: .now)
            }
        }
    }

    deinit {
        watch.cancel()
        guard let daemon = daemon.withLock({ $0 }) else { return }
        Self.end(daemon, core) {}
    }

    /// Listens and serves.
    /// - Throws: when the address cannot be listened on, or the certificate cannot be used.
    package static func start(_ options: HTTPServerOptions, _ routes: HTTPRoutes) throws(HTTPListenError) -> HTTPServer {
        let socket = try ListeningSocket.open(options.address)
        let core = HTTPCore(options, routes)
        let daemon = Daemon.start(core, socket)
        guard let daemon else {
            close(socket.descriptor)
            let why = options.tls == nil ? "the HTTP library does not start" : "the certificate or its key cannot be used"
            throw HTTPListenError(address: options.address, reason: why)
        }
        return HTTPServer(core, daemon, port: socket.port)
    }

    /// Connections that are open.
    package var connectionCount: Int { core.connections.count }

    /// Takes no new connections and lets requests that have come in end, for `grace` at most. Returns when every connection is
    /// closed. Safe to repeat.
    package func stop(grace: Duration) async {
        let taken = daemon.withLock { daemon in
            defer { daemon = nil }
            return daemon
        }
        guard let taken else { return }
        core.close()
        taken.closeListener()
        let begun = ContinuousClock.now
        while core.running > 0, begun.duration(to: .now) < grace {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { break }
        }
        watch.cancel()
        await withCheckedContinuation { continuation in Self.end(taken, core) { continuation.resume() } }
    }

    /// Joins the library's thread, which no task should wait for.
    private static func end(_ daemon: Daemon, _ core: HTTPCore, _ done: @escaping @Sendable () -> Void) {
        core.connections.stop()
        Thread.detachNewThread {
            daemon.stop()
            withExtendedLifetime(core) { done() }
        }
    }
}

/// The library's handle.
///
/// `@unchecked Sendable`: the pointer is constant, and the library lets any thread stop what another has started.
private final class Daemon: @unchecked Sendable {
    private let handle: OpaquePointer
    /// PEM, as the library wants it for as long as it runs.
    private let texts: [UnsafeMutablePointer<CChar>]

    private init(_ handle: OpaquePointer, _ texts: [UnsafeMutablePointer<CChar>]) {
        self.handle = handle
        self.texts = texts
    }

    /// Nil: it does not start, and the socket is still the caller's.
    static func start(_ core: HTTPCore, _ socket: ListeningSocket) -> Daemon? {
        var settings = chttp_settings()
        settings.listener = socket.descriptor
        settings.ipv6 = socket.isIPv6
        settings.connections = UInt32(clamping: core.options.connectionsMax)
        settings.connections_per_address = UInt32(clamping: core.options.connectionsPerAddressMax)
        settings.idle_seconds = UInt32(clamping: max(1, core.options.sendTime.components.seconds))
        settings.connection_memory = core.options.headerBytesMax
        var texts: [UnsafeMutablePointer<CChar>] = []
        if let tls = core.options.tls {
            texts = [tls.certificateChain, tls.privateKey].compactMap { strdup(String(decoding: $0, as: UTF8.self)) }
            guard texts.count == 2 else { return nil }
            settings.certificate = UnsafePointer(texts[0])
            settings.key = UnsafePointer(texts[1])
        }
        core.fill(&settings)
        guard let handle = chttp_start(&settings) else {
            for text in texts { free(text) }
            return nil
        }
        return Daemon(handle, texts)
    }

    func closeListener() {
        let listener = MHD_quiesce_daemon(handle)
        if listener >= 0 { close(listener) }
    }

    /// Closes every connection and returns when the library's thread has ended. Once only.
    func stop() {
        MHD_stop_daemon(handle)
        for text in texts { free(text) }
    }
}
