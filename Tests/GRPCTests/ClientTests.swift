import Foundation
import GRPC
import TestSupport
import Testing

/// The client against a server on Python's grpcio.
@Suite(.timeLimit(.minutes(10))) struct ClientTests {
    private func withServer(_ body: (Channel, String) async throws -> Void) async throws {
        let server = try peer("server", [])
        let port = try await server.firstLine()
        var options = ChannelOptions()
        options.userAgent = "silo-test/1"
        let channel = Channel(target: "127.0.0.1:\(port)", options)
        try await body(channel, port)
        channel.close()
        server.closeInput()
        #expect(try await server.ending().status == 0)
    }

    @Test func callsAreAnswered() async throws {
        try await withServer { channel, _ in
            for count in [0, 1, 10_000, 5 << 20] {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                #expect(try await channel.unary("/test.Test/Echo", bytes) == bytes)
            }
            let agent = String(decoding: try await channel.unary("/test.Test/Agent", []), as: UTF8.self)
            #expect(agent.hasPrefix("silo-test/1 grpc-c/"))
        }
    }

    @Test func aQuietChannelAnswersAsAnyOther() async throws {
        try await withServer { _, port in
            var options = ChannelOptions()
            options.isQuiet = true
            let channel = Channel(target: "127.0.0.1:\(port)", options)
            for _ in 0..<3 {
                async let first = channel.unary("/test.Test/Echo", [1])
                async let second = channel.unary("/test.Test/Echo", [2])
                let answers = try await [first, second]
                #expect(answers == [[1], [2]])
            }
            let answer = try await channel.unary("/test.Test/Echo", [7])
            #expect(answer == [7])
            channel.close()
        }
    }

    @Test func metadataGoesBothWays() async throws {
        try await withServer { channel, _ in
            var metadata: Metadata = ["x-text": "one", "X-Text": "two"]
            metadata.append("x-data-bin", [0, 0xff])
            let seen = try await channel.unary("/test.Test/Metadata", [], metadata: metadata)
            #expect(
                String(decoding: seen, as: UTF8.self) == #"[('x-text', 'one'), ('x-text', 'two'), ('x-data-bin', b'\x00\xff')]"#)
            let status = await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Fail", []) }
            #expect(status?.code == .aborted)
            #expect(status?.message == "größer – 100%\nzweite Zeile")
            #expect(status?.trailers.all("x-hint") == [Array("a".utf8), Array("b".utf8)])
            #expect(status?.trailers.bytes("x-raw-bin") == [0, 0xff])
        }
    }

    @Test func illegalMetadataIsRefused() async throws {
        try await withServer { channel, _ in
            for key in ["", "with space", "größe", ":path"] {
                let status = await #expect(throws: Status.self) {
                    _ = try await channel.unary("/test.Test/Echo", [], metadata: [key: "1"])
                }
                #expect(status?.code == .invalidArgument)
            }
            let status = await #expect(throws: Status.self) {
                _ = try await channel.unary("/test.Test/Echo", [], metadata: ["x-text": "line\nline"])
            }
            #expect(status?.code == .invalidArgument)
        }
    }

    @Test func deadlinesAreSentAndKept() async throws {
        try await withServer { channel, _ in
            let left = try await channel.unary("/test.Test/Remaining", [], timeout: .seconds(30))
            // The core rounds up to what the wire can say.
            #expect((25...31).contains(Double(String(decoding: left, as: UTF8.self)) ?? 0))
            #expect(try await channel.unary("/test.Test/Remaining", []) == Array("none".utf8))
            let status = await #expect(throws: Status.self) {
                _ = try await channel.unary("/test.Test/Wait", [], timeout: .seconds(3))
            }
            #expect(status?.code == .deadlineExceeded)
            let cancelled = try await channel.unary("/test.Test/WasCancelled", [])
            #expect(cancelled == Array("yes".utf8))
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        try await withServer { channel, _ in
            let task = Task { try await channel.unary("/test.Test/Wait", []) }
            let arrived = try await channel.unary("/test.Test/HasArrived", [])
            #expect(arrived == Array("yes".utf8))
            task.cancel()
            let status = await #expect(throws: Status.self) { _ = try await task.value }
            #expect(status?.code == .cancelled)
            let cancelled = try await channel.unary("/test.Test/WasCancelled", [])
            #expect(cancelled == Array("yes".utf8))
            let early = Task { try await channel.unary("/test.Test/Echo", []) }
            early.cancel()
            _ = await early.result
        }
    }

    @Test("api.md 1: messages up to 128 MiB") func largeMessages() async throws {
        try await withServer { channel, _ in
            let largest = try await channel.unary("/test.Test/Large", Array("\(128 << 20)".utf8))
            #expect(largest.count == 128 << 20)
            let received = await #expect(throws: Status.self) {
                _ = try await channel.unary("/test.Test/Large", Array("\(128 << 20 + 1)".utf8))
            }
            #expect(received?.code == .resourceExhausted)
            let sent = await #expect(throws: Status.self) {
                _ = try await channel.unary("/test.Test/Echo", [UInt8](repeating: 0, count: 128 << 20 + 1))
            }
            #expect(sent?.code == .resourceExhausted)
        }
    }

    @Test func streamsAreReadToTheirEnd() async throws {
        try await withServer { channel, _ in
            var numbers: [String] = []
            for try await message in channel.serverStream("/test.Test/Count", Array("1000".utf8)) {
                numbers.append(String(decoding: message, as: UTF8.self))
            }
            #expect(numbers == (0..<1000).map { "\($0)" })
            var count = 0
            do {
                for try await _ in channel.serverStream("/test.Test/Count", Array("-7".utf8)) { count += 1 }
                Issue.record("the stream ended well")
            } catch let error as Status {
                #expect(error.code == .dataLoss)
                #expect(error.trailers["x-end"] == "bad")
            }
            #expect(count == 7)
        }
    }

    @Test func aStreamIsReadOnlyWhenAskedForAndEndsWhenDropped() async throws {
        try await withServer { channel, _ in
            func produced() async throws -> Int {
                Int(String(decoding: try await channel.unary("/test.Test/HowMany", []), as: UTF8.self)) ?? 0
            }
            var count = 0
            for try await message in channel.serverStream("/test.Test/Endless", []) {
                #expect(message.count == 65536)
                count += 1
                if count == 3 {
                    // In the time of so many calls it would have made as many messages.
                    for _ in 0..<1000 { _ = try await channel.unary("/test.Test/Echo", []) }
                    #expect(try await produced() < 400)
                    break
                }
            }
            #expect(try await channel.unary("/test.Test/EndlessEnded", []) == Array("yes".utf8))
        }
    }

    @Test func certificatesAreChecked() async throws {
        let certificates = try await Certificates()
        let server = try peer("server", [certificates.folder])
        let target = "127.0.0.1:\(try await server.firstLine())"
        func call(ca: String, as name: String?) async throws(Status) -> [UInt8] {
            var options = ChannelOptions()
            options.tls = ClientTLS(
                rootCA: try? certificates.read(ca),
                certificateChain: name.flatMap { try? certificates.read("\($0).pem") },
                privateKey: name.flatMap { try? certificates.read("\($0).key") },
                serverNameOverride: "localhost"
            )
            return try await Channel(target: target, options).unary("/test.Test/Echo", [7], timeout: .seconds(5))
        }
        #expect(try await call(ca: "ca.pem", as: "client") == [7])
        for (ca, name) in [("ca.pem", nil), ("stranger.pem", "client"), ("ca.pem", "stranger")] as [(String, String?)] {
            let status = await #expect(throws: Status.self) { _ = try await call(ca: ca, as: name) }
            #expect(status?.code == .unavailable)
        }
        server.closeInput()
        _ = try await server.ending()
    }

    @Test func nobodyListening() async throws {
        let channel = Channel(target: "127.0.0.1:1")
        let status = await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Echo", []) }
        #expect(status?.code == .unavailable)
        channel.close()
        let closed = await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Echo", []) }
        #expect(closed == Status(.unavailable, "the channel is closed"))
    }
}
