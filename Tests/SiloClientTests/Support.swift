import Foundation
import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloServer
import SiloTelemetry
import Synchronization

/// A real server in this process, in memory, with a client.
struct TestServer {
    let node: Node
    let client: Client

    init(_ change: (inout NodeSettings) -> Void = { _ in }) async throws {
        var settings = NodeSettings(data: "memory:")
        settings.address = "127.0.0.1:0"
        settings.shardCount = 2
        settings.drain = .milliseconds(200)
        change(&settings)
        node = try await Node.start(settings, logger: .silent)
        client = Client(node.address)
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

/// Collects values from any thread.
final class Box<Value: Sendable>: Sendable {
    private let items = Mutex<[Value]>([])
    func add(_ value: Value) { items.withLock { $0.append(value) } }
    var all: [Value] { items.withLock { $0 } }
    var count: Int { items.withLock { $0.count } }
}

struct Deadline: Error {}

/// Waits until something is so, at most `seconds`.
func eventually(_ seconds: Int = 20, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(seconds)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw Deadline() }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Holds tasks up until it is opened. A cancelled task passes.
final class Gate: Sendable {
    private let isOpen = Atomic(false)
    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }
    func wait() async {
        while !isOpen.load(ordering: .sequentiallyConsistent), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }
}

/// A real connection that can lose heartbeats.
final class MuteTransport: Transport {
    private let channel: Channel
    private let isMute = Atomic(false)

    init(_ address: String) {
        channel = Channel(target: address)
    }

    var losesHeartbeats: Bool {
        get { isMute.load(ordering: .sequentiallyConsistent) }
        set { isMute.store(newValue, ordering: .sequentiallyConsistent) }
    }

    func unary(_ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?) async throws(Status) -> [UInt8] {
        if path == SiloV1.Silo.heartbeat.path, losesHeartbeats { throw Status(.unavailable, "lost") }
        return try await channel.unary(path, request, metadata: metadata, timeout: timeout)
    }

    func close() { channel.close() }
}
