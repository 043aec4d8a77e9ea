import Foundation
import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloEngine
import SiloServer
import SiloTelemetry
import Synchronization
import TestSupport

/// A real server in this process, in memory, with a client.
struct TestServer {
    let node: Node
    let client: Client
    /// What the client's calls go over.
    let transport: WatchedTransport

    init(_ change: (inout NodeSettings) -> Void = { _ in }) async throws {
        var settings = NodeSettings(data: "memory:")
        settings.address = "127.0.0.1:0"
        settings.shardCount = 2
        settings.drain = .milliseconds(200)
        // No lease ends because the machine is busy.
        settings.engine.leaseMilliseconds = 600_000
        change(&settings)
        node = try await Node.start(settings, logger: .silent)
        let transport = WatchedTransport(node.address)
        self.transport = transport
        client = Client(ClientOptions(servers: [node.address]), in: Lanes.system) { _, _ in transport }
    }

    func stop() async {
        client.close()
        await node.stop()
    }

    /// A worker that runs until it is stopped, and the task that runs it.
    func worker(
        _ group: String, _ change: (inout WorkerOptions) -> Void = { _ in }, handler: @escaping Worker.Handler,
        refresh: Worker.RefreshHandler? = nil
    ) -> (worker: Worker, running: Task<Void, Never>) {
        var options = WorkerOptions()
        options.wait = .seconds(2)
        options.onError = { _ in }
        change(&options)
        let worker = Worker(client, group: group, options, handler: handler, refresh: refresh)
        return (worker, Task { await worker.run() })
    }
}

/// A real connection that can lose heartbeats, and says what became of the calls.
final class WatchedTransport: Transport {
    private let channel: Channel
    private let isMute = Atomic(false)
    /// Heartbeats that were answered.
    let heartbeats = Tally()
    let failures = Tally()

    init(_ address: String) {
        channel = Channel(target: address)
    }

    var losesHeartbeats: Bool {
        get { isMute.load(ordering: .sequentiallyConsistent) }
        set { isMute.store(newValue, ordering: .sequentiallyConsistent) }
    }

    func unary(_ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?) async throws(Status) -> [UInt8] {
        let isHeartbeat = path == SiloV1.Silo.heartbeat.path
        if isHeartbeat, losesHeartbeats { throw Status(.unavailable, "lost") }
        do {
            let answer = try await channel.unary(path, request, metadata: metadata, timeout: timeout)
            if isHeartbeat { heartbeats.add() }
            return answer
        } catch {
            failures.add()
            throw error
        }
    }

    func close() { channel.close() }
}
