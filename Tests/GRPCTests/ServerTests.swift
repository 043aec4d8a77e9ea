import Foundation
import GRPC
import TestSupport
import Testing

/// The server against Python's grpcio, which is another generation of another wrapping of gRPC.
@Suite(.timeLimit(.minutes(10))) struct ServerTests {
    @Test(arguments: ["echo", "metadata", "errors", "deadline", "streaming", "bidirectional", "raw_pings", "garbage"])
    func servesGrpcio(_ name: String) async throws {
        let server = try TestServer()
        #expect(try await python(name, server.port) == "")
        await server.shutdown()
        #expect(server.server.runningCalls == 0)
    }

    @Test(arguments: [1, 2]) func severalThreadsServe(_ count: Int) async throws {
        let server = try TestServer { options in
            options.completionQueues = count
            options.threadsPerQueue = 2
        }
        #expect(try await python("echo", server.port) == "")
        #expect(try await python("streaming", server.port) == "")
        await server.shutdown()
    }

    @Test func aCancelledCallIsSeen() async throws {
        let server = try TestServer()
        let client = try peer("client", ["cancel", "\(server.port)"])
        try await server.seen.waiting.until(1)
        client.closeInput()
        #expect(try await client.ending().status == 0)
        try await server.seen.cancelled.until(1)
        try await server.untilIdle()
        await server.shutdown()
    }

    @Test func aPassedDeadlineIsSeen() async throws {
        let server = try TestServer()
        #expect(try await python("deadline", server.port) == "")
        try await server.seen.cancelled.until(1)
        await server.shutdown()
    }

    @Test func aKilledClientIsSeen() async throws {
        let server = try TestServer()
        let client = try peer("client", ["hold", "\(server.port)"])
        try await server.seen.waiting.until(1)
        client.kill()
        try await server.seen.cancelled.until(1)
        try await server.untilIdle()
        await server.shutdown()
    }

    @Test func aStreamWaitsForItsReader() async throws {
        let server = try TestServer()
        let client = try peer("client", ["slow_reader", "\(server.port)"])
        #expect(try await client.firstLine() == "has read three")
        // In the time of so many calls it would have sent as many messages.
        let other = Channel(target: server.target)
        for _ in 0..<2000 { #expect(try await other.unary("/test.Test/Echo", [1]) == [1]) }
        other.close()
        // What fits into flow control and sockets, not more: the reader took 3 messages of 64 KiB.
        #expect((3..<400).contains(server.seen.sent.value))
        client.closeInput()
        let ending = try await client.ending()
        #expect(ending.status == 0, "\(ending.output)")
        try await server.seen.ended.until(1)
        try await server.untilIdle()
        await server.shutdown()
    }

    @Test("api.md 1: messages up to 128 MiB") func largeMessages() async throws {
        let server = try TestServer()
        #expect(try await python("large", server.port) == "")
        await server.shutdown()
    }

    @Test("api.md 1: a client may ping as it likes") func frequentPings() async throws {
        let server = try TestServer()
        #expect(try await python("pings", server.port) == "")
        await server.shutdown()
    }

    @Test func clientsTrustTheServer() async throws {
        let certificates = try await Certificates()
        let tls = ServerTLS(
            certificateChain: try certificates.read("server.pem"), privateKey: try certificates.read("server.key")
        )
        let server = try TestServer { $0.tls = tls }
        #expect(try await python("tls", server.port, certificates.folder, "anonymous") == "")
        #expect(try await python("tls", server.port, certificates.folder, "untrusting").contains("UNAVAILABLE"))
        await server.shutdown()
    }

    @Test func theServerTrustsItsClients() async throws {
        let certificates = try await Certificates()
        let tls = ServerTLS(
            certificateChain: try certificates.read("server.pem"), privateKey: try certificates.read("server.key"),
            clientCA: try certificates.read("ca.pem")
        )
        let server = try TestServer { $0.tls = tls }
        #expect(try await python("tls", server.port, certificates.folder, "client") == "")
        #expect(try await python("tls", server.port, certificates.folder, "anonymous").contains("UNAVAILABLE"))
        #expect(try await python("tls", server.port, certificates.folder, "stranger").contains("UNAVAILABLE"))
        await server.shutdown()
    }

    @Test func aRenewedCertificateIsServedFromTheNextConnectionOn() async throws {
        let (first, second) = (try await Certificates(), try await Certificates())
        func tls(_ from: Certificates) throws -> ServerTLS {
            ServerTLS(
                certificateChain: try from.read("server.pem"), privateKey: try from.read("server.key"),
                clientCA: try from.read("ca.pem")
            )
        }
        let server = try TestServer { $0.tls = try? tls(first) }
        #expect(try await python("tls", server.port, first.folder, "client") == "")
        var mixed = try tls(second)
        mixed.privateKey = try first.read("server.key")
        #expect(throws: ServerTLS.Mistake("the TLS key is not that of the TLS certificate")) { try server.server.renew(mixed) }
        mixed = try tls(second)
        mixed.clientCA = nil
        #expect(throws: ServerTLS.Mistake.self) { try server.server.renew(mixed) }
        #expect(try await python("tls", server.port, first.folder, "client") == "", "the one of before")
        try server.server.renew(try tls(second))
        #expect(try await python("tls", server.port, second.folder, "client") == "")
        #expect(try await python("tls", server.port, first.folder, "client").contains("UNAVAILABLE"))
        await server.shutdown()
        let plain = try TestServer()
        #expect(throws: ServerTLS.Mistake.self) { try plain.server.renew(try tls(first)) }
        await plain.shutdown()
    }

    @Test func aCallersCertificateSaysWhoItIs() async throws {
        let certificates = try await Certificates()
        let counted = CountedServer { options in
            options.tls = try? ServerTLS(
                certificateChain: certificates.read("server.pem"), privateKey: certificates.read("server.key"),
                clientCA: certificates.read("ca.pem")
            )
        }
        counted.server.register("/test.Test/Echo") { call in
            call.respond(Array(call.certificateNames.joined(separator: " ").utf8))
        }
        let port = try counted.server.start()
        var options = ChannelOptions()
        options.tls = ClientTLS(
            rootCA: try certificates.read("ca.pem"), certificateChain: try certificates.read("client.pem"),
            privateKey: try certificates.read("client.key")
        )
        let channel = Channel(target: "localhost:\(port)", options)
        #expect(String(decoding: try await channel.unary("/test.Test/Echo", []), as: UTF8.self) == "CN=client DNS:localhost")
        channel.close()
        await counted.server.shutdown(grace: .seconds(2))
    }

    @Test func anUnusableAddressIsNamed() async throws {
        let server = try TestServer()
        let tls = ServerTLS(certificateChain: Array("junk".utf8), privateKey: Array("junk".utf8))
        let taken = #expect(throws: ListenError.self) { _ = try TestServer { $0.address = server.target } }
        #expect(taken?.address == server.target)
        let nowhere = #expect(throws: ListenError.self) { _ = try TestServer { $0.address = "no such host:x" } }
        #expect(nowhere?.description.contains("no such host:x") == true)
        let junk = #expect(throws: ListenError.self) { _ = try TestServer { $0.tls = tls } }
        #expect(junk?.reason.contains("TLS") == true)
        await server.shutdown()
    }

    @Test func aUnixSocketIsServed() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("grpc-\(UUID().uuidString).sock").path
        let server = try TestServer { $0.address = "unix:\(path)" }
        let channel = Channel(target: "unix:\(path)")
        #expect(try await channel.unary("/test.Test/Echo", [5]) == [5])
        channel.close()
        await server.shutdown()
    }
}
