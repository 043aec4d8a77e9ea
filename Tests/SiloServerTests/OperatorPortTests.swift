import Foundation
import GRPC
import HTTPServer
import SiloCore
import SiloTelemetry
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloServer

/// The port for operators when its certificate is renewed.
@Suite(.timeLimit(.minutes(10))) struct OperatorPortTests {
    private let folder: TemporaryFolder
    private let clock = ManualClock()
    private var environment: Environment { Environment(clock: clock, random: SeededRandom(seed: 1)) }

    /// Ports are somebody else's now.
    private final class Thief: Sendable {
        let hasPorts = Atomic(false)
    }
    private let thief = Thief()

    init() throws { folder = try TemporaryFolder() }

    private func shell(_ command: String) async throws -> String {
        let ended = try await ChildProcess.run("/bin/sh", ["-c", "cd '\(folder.path)' && \(command)"])
        try #require(ended.status == 0, "\(ended.output)")
        return ended.output
    }

    private func certificate(_ name: String) async throws -> ServerTLS {
        _ = try await shell("openssl req -x509 -newkey rsa:2048 -nodes -days 9 -keyout key -out cert -subj /CN=\(name) 2> log")
        return try TLSFiles(certificate: "\(folder.path)/cert", key: "\(folder.path)/key").read()
    }

    private func port(_ tls: ServerTLS) throws -> OperatorPort {
        var settings = NodeSettings(data: "memory:")
        settings.metricsAddress = "127.0.0.1:0"
        settings.tls = tls
        let metrics = NodeMetrics(settings, allocator: nil)
        let port = OperatorPort.start(settings, NodeStatus(), metrics, nil, logger: .silent) {
            [thief] options, routes throws(HTTPListenError) in
            var options = options
            if thief.hasPorts.load(ordering: .relaxed) { options.address = "nowhere" }
            return try HTTPServer.start(options, routes)
        }
        return try #require(port)
    }

    /// What it answers, after the name in its certificate.
    private func answer(_ port: OperatorPort) async throws -> String {
        let client = "openssl s_client -connect \(port.address)"
        let subject = try await shell("\(client) < /dev/null 2> log | openssl x509 -noout -subject -nameopt multiline")
        let body = try await shell("printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | \(client) -quiet 2> log")
        let name = subject.split(whereSeparator: \.isWhitespace).last ?? ""
        return "\(name) \(body.hasSuffix("\r\n\r\nok\n") ? "ok" : body)"
    }

    @Test func oneThatItsLibraryRefusesLeavesThatOfBefore() async throws {
        let port = try port(await certificate("old"))
        #expect(try await answer(port) == "old ok")
        let bad = ServerTLS(certificateChain: Array("nothing".utf8), privateKey: Array("nothing".utf8))
        await port.renew(bad, in: environment)?.value
        #expect(try await answer(port) == "old ok")
        await port.renew(try await certificate("new"), in: environment)?.value
        #expect(try await answer(port) == "new ok")
        await port.renew(bad, in: environment)?.value
        #expect(try await answer(port) == "new ok", "not with the first one")
        await port.stop()
    }

    @Test func aPortThatIsTakenMeanwhileIsTriedAgain() async throws {
        let port = try port(await certificate("old"))
        thief.hasPorts.store(true, ordering: .relaxed)
        let renewing = port.renew(try await certificate("new"), in: environment)
        for _ in 0..<2 {
            try await clock.changes.wait(for: "the pause") { !clock.sleepers.isEmpty }
            clock.advance(milliseconds: OperatorPort.retryMilliseconds)
        }
        try await clock.changes.wait(for: "the pause") { !clock.sleepers.isEmpty }
        thief.hasPorts.store(false, ordering: .relaxed)
        clock.advance(milliseconds: OperatorPort.retryMilliseconds)
        await renewing?.value
        #expect(try await answer(port) == "new ok")
        await port.stop()
    }

    @Test(arguments: [false, true]) func nobodyWaitsForThePause(stops: Bool) async throws {
        let port = try port(await certificate("old"))
        thief.hasPorts.store(true, ordering: .relaxed)
        let first = port.renew(try await certificate("lost"), in: environment)
        try await clock.changes.wait(for: "the pause") { !clock.sleepers.isEmpty }
        if !stops {
            thief.hasPorts.store(false, ordering: .relaxed)
            await port.renew(try await certificate("new"), in: environment)?.value
            #expect(try await answer(port) == "new ok")
        }
        await port.stop()
        await first?.value
    }
}
