import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloServer
import SiloTesting
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ConnectionTests {
    // MARK: Addresses

    @Test(arguments: [
        ("h:1", "h:1", nil), ("http://h:1", "h:1", false), ("https://h:1/", "h:1", true), ("HTTPS://h:1", "h:1", true),
        ("http://[::1]:7450", "[::1]:7450", false), ("unix:/run/silo", "unix:/run/silo", nil),
    ] as [(String, String, Bool?)])
    func anAddressSaysWhereAndHow(_ text: String, _ target: String, _ isSecure: Bool?) throws {
        let address = try ServerAddress(text)
        #expect(address.target == target && address.isSecure == isSecure)
    }

    @Test(arguments: [
        "ftp://h:1", "grpc://h:1", "https://", "https://h:1/path", "http://user@h:1", "https://h:1?x", "h", "h:x", "h:0",
        "http://h",
    ])
    func anAddressThatCannotBeFollowedIsRefused(_ text: String) {
        #expect(throws: ServerAddress.Mistake.self) { try ServerAddress(text) }
    }

    /// What a client connects to and whether with TLS, for a call that fails.
    private static func ways(_ servers: [String], tls: ClientTLS? = nil) throws -> (ways: [String: Bool], error: ClientError?) {
        try ScriptedServer.simulate { server in
            var options = ClientOptions(servers: servers)
            options.tls = tls
            options.token = "secret"
            let ways = Mutex<[String: Bool]>([:])
            let client = Client(options, in: Lanes(server.environment)) { target, tls in
                ways.withLock { $0[target] = tls != nil }
                return server.connect(target)
            }
            do throws(ClientError) { try await client.ping() } catch { return (ways.withLock { $0 }, error) }
            _ = try? await client.job("j").status()
            return (ways.withLock { $0 }, nil)
        }
    }

    @Test func httpsMeansTLSAlsoToThoseThatAreLearnt() throws {
        // The scripted server says that its address is a:1, with no scheme.
        let (ways, error) = try Self.ways(["https://seed:1"])
        #expect(error == nil && ways == ["seed:1": true, "a:1": true])
        #expect(try Self.ways(["seed:1"]).ways == ["seed:1": false, "a:1": false])
        #expect(try Self.ways(["http://seed:1"]).ways == ["seed:1": false, "a:1": false])
        #expect(try Self.ways(["seed:1"], tls: ClientTLS()).ways == ["seed:1": true, "a:1": true])
    }

    @Test func whatContradictsIsToldAndNothingIsSent() throws {
        for (servers, tls, hint) in [
            (["http://h:1"], ClientTLS(), "leave TLS away"), (["ftp://h:1"], nil, "https://host:port"),
        ] as [([String], ClientTLS?, String)] {
            let (ways, error) = try Self.ways(servers, tls: tls)
            #expect(ways.isEmpty)
            guard case .invalidArgument(let text) = error else {
                Issue.record("\(servers): \(String(describing: error))")
                continue
            }
            #expect(text.contains(hint))
        }
        // Of two seeds only the one with TLS is spoken to.
        #expect(try Self.ways(["https://h:1", "http://g:1"]).ways["g:1"] == nil)
    }

    // MARK: Calls

    @Test func serversAreAskedSideBySide() throws {
        let (took, asked) = try ScriptedServer.simulate { server in
            // Nine say nothing; the last answers.
            server.behave { call, number in number < 9 ? .hang : .late(20) }
            let client = server.client { $0.servers = (1...10).map { "h\($0):1" } }
            let begun = server.clock.steady
            try await client.ping()
            return (server.clock.steady - begun, server.calls("GetClusterInfo").count)
        }
        // Eight at once, each for ten seconds.
        #expect(took == 10_020 && asked == 10)
    }

    @Test func whoAsksWhileSomebodyDoesSharesTheAnswer() throws {
        let asked = try ScriptedServer.simulate { server in
            server.behave { _, _ in .late(50) }
            let client = server.client()
            try await withThrowingTaskGroup { group in
                for _ in 0..<20 { group.addTask { try await client.ping() } }
                try await group.waitForAll()
            }
            return server.calls("GetClusterInfo").count
        }
        #expect(asked == 1)
    }

    @Test func afterATimeOutTheNextCallTakesANewConnection() throws {
        let connections = try ScriptedServer.simulate { server in
            server.behave { call, _ in call.path == SiloV1.Silo.enqueue.path && server.connections.count == 1 ? .hang : .answer }
            try await server.client().enqueue(NewJob("g", 1))
            return server.connections
        }
        #expect(connections == ["a:1", "a:1"])
    }

    @Test(arguments: [
        Status(.resourceExhausted, "Received message larger than max (5 vs. 4)"), Status(.outOfRange, "the answer has 200 MiB"),
        Status(.resourceExhausted, "gRPC message exceeds maximum size 4: 5"),
    ])
    func whatIsTooLargeIsNotRepeated(_ status: Status) throws {
        let calls = try ScriptedServer.simulate { server in
            server.behave { call, _ in call.path == SiloV1.Silo.getJob.path ? .fail(status) : .answer }
            await #expect { try await server.client().job("j").info() } throws: {
                $0 as? ClientError == .tooLarge(status.message)
            }
            return server.calls("GetJob").count
        }
        #expect(calls == 1)
    }

    @Test func theCoreSaysOfAnAnswerThatItIsTooLarge() async throws {
        let server = try await TestServer()
        let calls = Box<String>()
        let handle = try await server.client.enqueue(NewJob("g", String(repeating: "x", count: 20_000)))
        let client = Client(ClientOptions(servers: [server.node.address]), in: Lanes.system) { address, _ in
            var options = ChannelOptions()
            options.maxMessageBytes = 10_000
            return CountingTransport(Channel(target: address, options), calls)
        }
        await #expect { try await client.job(handle.id).info() } throws: { error in
            if case .tooLarge = error as? ClientError { true } else { false }
        }
        #expect(calls.all == [SiloV1.Silo.getClusterInfo.path, SiloV1.Silo.getJob.path])
        client.close()
        await server.stop()
    }
}

/// Keeps the paths of what is called.
final class CountingTransport: Transport {
    private let inner: any Transport
    private let calls: Box<String>

    init(_ inner: any Transport, _ calls: Box<String>) {
        self.inner = inner
        self.calls = calls
    }

    func unary(_ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?) async throws(Status) -> [UInt8] {
        calls.add(path)
        return try await inner.unary(path, request, metadata: metadata, timeout: timeout)
    }

    func close() { inner.close() }
}
