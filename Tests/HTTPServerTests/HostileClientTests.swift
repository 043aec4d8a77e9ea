import Foundation
import HTTPServer
import TestSupport
import Testing

/// Clients that want more than their share. Others are served all the time.
@Suite(.timeLimit(.minutes(10)), .serialized) struct HostileClientTests {
    private func expectService(_ server: HTTPServer) async throws { #expect(try await server.curl("/hello") == "hello\n200") }

    @Test func aHeaderOfAMebibyteIsRefused() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        let client = try RawConnection(to: server.port)
        client.send("GET /hello HTTP/1.1\r\nHost: here\r\nX-Long: ")
        for _ in 0..<16 where !client.send(String(repeating: "a", count: 64 << 10)) { break }
        client.send("\r\n\r\n")
        let answer = await client.readText()
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 431"), "\(answer)")
        try await expectService(server)
        await server.stop(grace: .seconds(5))
    }

    @Test func aBodyIsBoundedWhetherItSaysItsLengthOrNot() async throws {
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("POST", "/notes", bodyBytesMax: 1000) { .text("\($0.body.count)") }
        }
        let folder = try TemporaryFolder()
        for (count, status) in [(1000, 200), (1001, 413), (1 << 20, 413)] {
            let file = "\(folder.path)/\(count)"
            try Data(count: count).write(to: URL(fileURLWithPath: file))
            #expect(try await server.curl("/notes", "--data-binary", "@\(file)").hasSuffix("\n\(status)"))
            let chunked = try await server.curl("/notes", "-H", "Transfer-Encoding: chunked", "--data-binary", "@\(file)")
            #expect(chunked.hasSuffix("\n\(status)"))
        }
        #expect(try await server.curl("/hello", "-X", "GET", "-d", "a body that nobody wants").hasSuffix("\n413"))
        await server.stop(grace: .seconds(5))
    }

    @Test func tenThousandConnectionsTakeNobodysPlace() async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let server = try HTTPServer.local { _ in } _: { _ in }
        let port = server.port
        let crowd = try await onThread { try (0..<10_000).map { _ in try RawConnection(to: port, from: "127.0.0.2") } }
        try await expectService(server)
        try await eventually("the crowd is small") { server.connectionCount <= 64 }
        try await expectService(server)
        withExtendedLifetime(crowd) {}
        await server.stop(grace: .seconds(5))
        #expect(server.connectionCount == 0)
    }

    @Test func whoeverSendsARequestByteByByteIsCutOff() async throws {
        let server = try HTTPServer.local { $0.requestTime = .seconds(1) } _: { _ in }
        let client = try RawConnection(to: server.port)
        client.send("GET /hello HTTP/1.1\r\nX-Slow: ")
        try await eventually("it is cut off") { !client.send("a") }
        try await expectService(server)
        await server.stop(grace: .seconds(5))
    }

    @Test func whoeverDoesNotReadAnAnswerIsCutOff() async throws {
        let server = try HTTPServer.local { $0.sendTime = .seconds(1) } _: { routes in
            routes.add("GET", "/large") { _ in .bytes([UInt8](repeating: 65, count: 32 << 20), type: "text/plain") }
            routes.add("GET", "/stream") { _ in
                HTTPResponse(body: .stream { writer in
                    while true { try await writer.write([UInt8](repeating: 65, count: 1 << 20)) }
                })
            }
        }
        for path in ["/large", "/stream"] {
            let client = try RawConnection(to: server.port, receiveBytes: 4096)
            client.send("GET \(path) HTTP/1.1\r\nHost: here\r\n\r\n")
            try await eventually("it is served") { server.connectionCount == 1 }
            try await expectService(server)
            try await eventually("it is cut off") { server.connectionCount == 0 }
            withExtendedLifetime(client) {}
        }
        await server.stop(grace: .seconds(5))
    }

    @Test(arguments: ["/large", "/stream"])
    func whoeverReadsAnAnswerByteByByteIsCutOff(_ path: String) async throws {
        let large = [UInt8](repeating: 65, count: 32 << 20)
        let server = try HTTPServer.local { $0.sendTime = .seconds(1) } _: { routes in
            routes.add("GET", "/large") { _ in .bytes(large, type: "text/plain") }
            routes.add("GET", "/stream") { _ in HTTPResponse(body: .stream { try await $0.write(large) }) }
        }
        let client = try RawConnection(to: server.port, receiveBytes: 4096)
        client.send("GET \(path) HTTP/1.1\r\nHost: here\r\n\r\n")
        try await eventually("it is served") { server.connectionCount == 1 }
        try await expectService(server)
        var byte: UInt8 = 0
        try await eventually("it is cut off") {
            #expect(recv(client.descriptor, &byte, 1, Int32(MSG_DONTWAIT)) != 0, "there is more to read")
            return server.connectionCount == 0
        }
        await server.stop(grace: .seconds(5))
    }

    @Test func aHandlerThatHangsIsGivenUp() async throws {
        let cancelled = Tally()
        let server = try HTTPServer.local { $0.handlerTime = .seconds(1) } _: { routes in
            routes.add("GET", "/hangs") { _ in
                await untilCancelled()
                cancelled.add()
                return .text("late")
            }
        }
        #expect(try await server.curl("/hangs") == "the answer took too long\n\n503")
        try await cancelled.until(1)
        try await expectService(server)
        await server.stop(grace: .seconds(5))
    }

    @Test func nonsenseIsRefused() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        let all = ["\r\n\r\n\r\nxxxx\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n"]
        for nonsense in all {
            let client = try RawConnection(to: server.port)
            client.send(nonsense)
            shutdown(client.descriptor, Int32(SHUT_WR))
            _ = await client.read()
            try await expectService(server)
        }
        await server.stop(grace: .seconds(5))
    }
}
