import Foundation
import HTTPServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ServingTests {
    @Test func routesGiveParametersQueryHeadersAndBody() async throws {
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("POST", "/jobs/:id/note", bodyBytesMax: 100) { request in
                let parts = [
                    request.parameters["id"] ?? "", request.query("a") ?? "", request.query("b") ?? "",
                    request.header("x-mine") ?? "", String(decoding: request.body, as: UTF8.self), request.address,
                ]
                return .text(parts.joined(separator: "|"), status: 201)
            }
        }
        let answer = try await server.curl(
            "/jobs/a%2Fb%20%C3%A9/note?a=1+2&b=%2B%26&c", "-H", "X-Mine: yes", "-d", "the body")
        #expect(answer == "a/b é|1 2|+&|yes|the body|127.0.0.1\n201")
        await server.stop(grace: .seconds(5))
    }

    @Test func whatIsNotServedIsRefusedAndSaysWhatIs() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        #expect(try await server.curl("/nothing").hasSuffix("\n404"))
        #expect(try await server.curl("/hello/").hasSuffix("\n404"))
        let other = try await server.curl("/hello", "-i", "-X", "DELETE")
        #expect(other.contains("Allow: GET\r\n") && other.hasSuffix("\n405"))
        let head = try await server.curl("/hello", "-I")
        #expect(head.contains("Content-Length: 5\r\n") && head.hasSuffix("\n200"))
        await server.stop(grace: .seconds(5))
    }

    @Test func aConnectionServesOneRequestAfterAnother() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        let words = ["-sSv", server.root + "/hello", server.root + "/hello"]
        let output = try await ChildProcess.run("/usr/bin/curl", words).output
        #expect(output.contains("Re-using existing connection"))
        await server.stop(grace: .seconds(5))
    }

    @Test func manyClientsAtOnceAreAllAnswered() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        let words = ["--h1", "-n", "5000", "-c", "20", "-t", "1", server.root + "/hello"]
        let output = try await ChildProcess.run("/usr/bin/h2load", words).output
        #expect(output.contains("5000 succeeded, 0 failed, 0 errored"), "\(output)")
        await server.stop(grace: .seconds(5))
    }

    @Test func anAnswerMayBeStreamed() async throws {
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/events") { _ in
                HTTPResponse(headers: [("Content-Type", "text/event-stream")], body: .stream { writer in
                    for number in 1...3 { try await writer.write(Array("data: \(number)\n\n".utf8)) }
                })
            }
            routes.add("GET", "/broken") { _ in
                HTTPResponse(body: .stream { writer in
                    try await writer.write(Array("half".utf8))
                    throw HTTPStreamEnded()
                })
            }
        }
        #expect(try await server.curl("/events") == "data: 1\n\ndata: 2\n\ndata: 3\n\n\n200")
        #expect(try await server.curl("/broken").contains("curl: (18)"), "an answer that broke off looks whole")
        await server.stop(grace: .seconds(5))
    }

    @Test func aStreamWaitsForItsReader() async throws {
        let written = Tally()
        let (count, size) = (200, 64 << 10)
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/large") { _ in
                HTTPResponse(body: .stream { writer in
                    for _ in 0..<count {
                        try await writer.write([UInt8](repeating: 65, count: size))
                        written.add()
                    }
                })
            }
        }
        let slow = try RawConnection(to: server.port, receiveBytes: 64 << 10)
        slow.send("GET /large HTTP/1.0\r\n\r\n")
        try await written.until(1)
        // Others are served meanwhile, and what the kernel does not take is not written.
        #expect(try await server.curl("/hello") == "hello\n200")
        #expect(written.value < count)
        let all = await slow.read()
        #expect(all.count > count * size && written.value == count)
        await server.stop(grace: .seconds(5))
    }

    @Test func whoeverStreamsHearsThatTheClientHasLeft() async throws {
        let ended = Tally()
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/for-ever") { _ in
                HTTPResponse(body: .stream { writer in
                    defer { ended.add() }
                    while true { try await writer.write([UInt8](repeating: 65, count: 1 << 10)) }
                })
            }
        }
        var client: RawConnection? = try RawConnection(to: server.port)
        client?.send("GET /for-ever HTTP/1.1\r\nHost: here\r\n\r\n")
        _ = await client?.read(10_000)
        client = nil
        try await ended.until(1)
        await server.stop(grace: .seconds(5))
    }

    @Test(arguments: ["/works", "/streams"])
    func whoeverWorksHearsThatTheClientHasLeft(_ path: String) async throws {
        let (begun, ended) = (Tally(), Tally())
        let work: @Sendable () async -> Void = {
            begun.add()
            await untilCancelled()
            ended.add()
        }
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/works") { _ in
                await work()
                return .text("for nobody")
            }
            routes.add("GET", "/streams") { _ in
                HTTPResponse(body: .stream { writer in
                    try await writer.write(Array("so far".utf8))
                    await work()
                })
            }
        }
        var client: RawConnection? = try RawConnection(to: server.port)
        client?.send("GET \(path) HTTP/1.1\r\nHost: here\r\n\r\n")
        try await begun.until(1)
        #expect(ended.value == 0 && server.connectionCount == 1)
        client = nil
        try await ended.until(1)
        try await eventually("its connection is closed") { server.connectionCount == 0 }
        await server.stop(grace: .seconds(5))
    }

    @Test func aServerThatStopsLetsRunningRequestsEnd() async throws {
        let (arrived, gate) = (Tally(), Gate())
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/slow") { _ in
                arrived.add()
                await gate.wait()
                return .text("done")
            }
        }
        async let slow = server.curl("/slow")
        try await arrived.until(1)
        async let stopped: Void = server.stop(grace: .seconds(60))
        try await eventually("nobody listens") { (try? RawConnection(to: server.port)) == nil }
        gate.open()
        #expect(try await slow == "done\n200")
        await stopped
        #expect(server.connectionCount == 0)
    }

    @Test func aServerStopsInTimeWhateverItsHandlersDo() async throws {
        let arrived = Tally()
        let server = try HTTPServer.local { _ in } _: { routes in
            routes.add("GET", "/hangs") { _ in
                arrived.add()
                await untilCancelled()
                return .text("never")
            }
            routes.add("GET", "/silent") { _ in
                HTTPResponse(body: .stream { _ in
                    arrived.add()
                    await untilCancelled()
                })
            }
        }
        async let hangs = server.curl("/hangs")
        async let silent = server.curl("/silent")
        try await arrived.until(2)
        await server.stop(grace: .milliseconds(50))
        #expect(server.connectionCount == 0)
        _ = try await (hangs, silent)
    }

    @Test func anAddressInUseIsToldAsSuch() async throws {
        let server = try HTTPServer.local { _ in } _: { _ in }
        #expect {
            _ = try HTTPServer.start(HTTPServerOptions(address: "127.0.0.1:\(server.port)"), HTTPRoutes())
        } throws: { "\($0)" == "cannot listen on 127.0.0.1:\(server.port): it is in use" }
        for wrong in ["here", "127.0.0.1:99999", ":80", "127.0.0.1:"] {
            #expect(throws: HTTPListenError.self) { _ = try HTTPServer.start(HTTPServerOptions(address: wrong), HTTPRoutes()) }
        }
        await server.stop(grace: .seconds(5))
    }

    @Test func itServesWithTLS() async throws {
        let folder = try TemporaryFolder()
        let make = "cd \(folder.path) && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key -out cert "
            + "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        _ = try await ChildProcess.run("/bin/sh", ["-c", make])
        func bytes(_ name: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)")))
        }
        var options = HTTPServerOptions(address: "127.0.0.1:0")
        options.tls = (try bytes("cert"), try bytes("key"))
        var routes = HTTPRoutes()
        routes.add("GET", "/hello") { _ in .text("safe") }
        let server = try HTTPServer.start(options, routes)
        let words = ["-sS", "--cacert", "\(folder.path)/cert", "https://localhost:\(server.port)/hello"]
        #expect(try await ChildProcess.run("/usr/bin/curl", words).output == "safe")
        await server.stop(grace: .seconds(5))
        options.tls = (Array("no".utf8), Array("certificate".utf8))
        #expect(throws: HTTPListenError.self) { _ = try HTTPServer.start(options, routes) }
    }
}
