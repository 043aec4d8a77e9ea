import Foundation
import TestSupport
import Testing

@testable import GRPC

/// Who is let in: calls with limits of their own, callers that are looked at before their request is read, connections.
@Suite(.timeLimit(.minutes(10))) struct AdmissionTests {
    private func code(_ body: () async throws -> [UInt8]) async -> Status.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? Status)?.code
        }
    }

    @Test func callsWithALimitOfTheirOwnTakeNothingFromOthers() async throws {
        let counted = CountedServer { $0.maxConcurrentCalls = 1 }
        let server = counted.server
        let waiting = Tally()
        server.register("/test.Test/Open", limit: CallLimit(total: 10, perPeer: 3)) { call in
            waiting.add()
            call.onCancel { call.respond([]) }
        }
        server.register("/test.Test/Echo") { call in call.respond(call.withRequest { Array($0) }) }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        let open = (0..<3).map { _ in Task { try await channel.unary("/test.Test/Open", []) } }
        try await waiting.until(3)
        #expect(await code { try await channel.unary("/test.Test/Open", []) } == .resourceExhausted, "the peer's share is used")
        for _ in 0..<10 { #expect(try await channel.unary("/test.Test/Echo", [1]) == [1]) }
        open.forEach { $0.cancel() }
        try await counted.untilIdle()
        let again = Task { try await channel.unary("/test.Test/Open", []) }
        // What they held is free again.
        try await waiting.until(4)
        again.cancel()
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func theLimitOfAllCallsCanBeRaisedAndLoweredWhileTheyRun() async throws {
        let counted = CountedServer { $0.maxConcurrentCalls = 1 }
        let server = counted.server
        let waiting = Tally()
        server.register("/test.Test/Open") { call in
            waiting.add()
            call.onCancel { call.respond([]) }
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        let first = Task { try await channel.unary("/test.Test/Open", []) }
        try await waiting.until(1)
        #expect(await code { try await channel.unary("/test.Test/Open", []) } == .resourceExhausted)
        server.limitCalls(2)
        let second = Task { try await channel.unary("/test.Test/Open", []) }
        try await waiting.until(2)
        server.limitCalls(1)
        #expect(await code { try await channel.unary("/test.Test/Open", []) } == .resourceExhausted)
        first.cancel()
        second.cancel()
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func theLimitIsForAMachineNotForAConnection() {
        let limit = CallLimit(total: 3, perPeer: 2)
        #expect(CallLimit.host(of: "ipv4:10.0.0.1:5000") == "ipv4:10.0.0.1")
        #expect(CallLimit.host(of: "ipv6:%5B::1%5D:5000") == "ipv6:%5B::1%5D")
        #expect(CallLimit.host(of: "unix:") == "unix:")
        #expect(limit.enter("a") && limit.enter("a") && !limit.enter("a"))
        #expect(limit.enter("b") && !limit.enter("c"), "the total holds too")
        limit.leave("a")
        #expect(limit.enter("c"))
    }

    @Test func aRefusedCallersRequestIsNotRead() async throws {
        let counted = CountedServer()
        let server = counted.server
        let pass = Tally()
        let screen: Server.Screen = {
            $0.header("x-pass") == [UInt8(ascii: "1")] ? .admitted(pass) : .refused(Status(.unauthenticated, "no"))
        }
        server.register("/test.Test/Echo", screen: screen) { call in
            if call.screened === pass { call.respond(call.withRequest { Array($0) }) }
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        #expect(await code { try await channel.unary("/test.Test/Echo", [1]) } == .unauthenticated)
        let large = [UInt8](repeating: 7, count: 100 << 20)
        #expect(await code { try await channel.unary("/test.Test/Echo", large) } == .unauthenticated)
        for count in [0, 1, 100_000, 5 << 20] {
            let request = [UInt8](repeating: 7, count: count)
            #expect(try await channel.unary("/test.Test/Echo", request, metadata: ["x-pass": "1"]) == request)
        }
        try await counted.untilIdle()
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    /// Else a caller's check would cost each call one more turn of the queue.
    @Test func aScreenedRequestThatCameWithItsHeadersIsReadAtOnce() async throws {
        let calls: UInt8 = 200
        let unscreened = try await turns(of: calls, screen: nil)
        let screened = try await turns(of: calls, screen: { _ in .admitted(nil) })
        // Headers and message may still be read in two parts.
        #expect(screened - unscreened < Int(calls) / 2, "\(screened) turns of the queue, \(unscreened) without a screen")
    }

    /// How many turns of its queue a server takes for so many calls.
    private func turns(of calls: UInt8, screen: Server.Screen?) async throws -> Int {
        let turns = Tally()
        let counted = CountedServer { options in
            options.eventRunner = {
                { event in
                    turns.add()
                    event()
                }
            }
        }
        let server = counted.server
        server.register("/test.Test/Echo", screen: screen) { call in call.respond(call.withRequest { Array($0) }) }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        // One at a time, so that nothing else uses the connection.
        for number in 0..<calls { #expect(try await channel.unary("/test.Test/Echo", [number]) == [number]) }
        try await counted.untilIdle()
        let count = turns.value
        channel.close()
        await server.shutdown(grace: .seconds(2))
        return count
    }

    /// More than wait for one method, so that completions of others come while a request is read.
    @Test(arguments: [1, 2]) func manyScreenedCallsAtOnceGetTheirOwnAnswers(_ threads: Int) async throws {
        let counted = CountedServer { $0.threadsPerQueue = threads }
        let server = counted.server
        let screen: Server.Screen = {
            $0.header("x-pass") == nil ? .refused(Status(.unauthenticated, "no")) : .admitted(nil)
        }
        for name in ["A", "B"] {
            server.register("/test.Test/\(name)", screen: screen) { call in
                call.respond(call.withRequest { Array(name.utf8) + $0 })
            }
        }
        let target = "127.0.0.1:\(try server.start())"
        let channels = (0..<2).map { _ in Channel(target: target) }
        await withTaskGroup { group in
            for number in 0..<2000 {
                group.addTask {
                    let (channel, name) = (channels[number % 2], number % 3 == 0 ? "A" : "B")
                    let request = [UInt8(number % 256)] + [UInt8](repeating: 7, count: number % 50 == 0 ? 100_000 : number % 7)
                    // On the connections of those who are let in.
                    guard number % 5 > 0 else {
                        return #expect(await code { try await channel.unary("/test.Test/\(name)", request) } == .unauthenticated)
                    }
                    let answer = try? await channel.unary("/test.Test/\(name)", request, metadata: ["x-pass": "1"])
                    #expect(answer == Array(name.utf8) + request)
                }
            }
        }
        try await counted.untilIdle()
        for channel in channels { channel.close() }
        await server.shutdown(grace: .seconds(2))
    }

    /// Though they may not take their answers, and so stay for long.
    @Test func strangersAreNotCounted() async throws {
        var options = ServerOptions(address: "127.0.0.1:0")
        options.maxConcurrentCalls = 0
        let server = Server(options)
        let screen: Server.Screen = {
            $0.header("x-pass") == nil ? .refused(Status(.unauthenticated, "no")) : .admitted(nil)
        }
        server.register("/test.Test/Echo", screen: screen) { call in call.respond([]) }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        #expect(await code { try await channel.unary("/test.Test/Echo", []) } == .unauthenticated)
        #expect(await code { try await channel.unary("/test.Test/None", []) } == .unimplemented)
        #expect(await code { try await channel.unary("/test.Test/Echo", [], metadata: ["x-pass": "1"]) } == .resourceExhausted)
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func aScreenedCallMayEndWhileItsRequestIsRead() async throws {
        let counted = CountedServer()
        let server = counted.server
        server.register("/test.Test/Echo", screen: { _ in .admitted(nil) }) { call in
            call.respond(call.withRequest { Array($0) })
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        for _ in 0..<20 {
            let request = [UInt8](repeating: 7, count: 2 << 20)
            let calls = (0..<4).map { _ in Task { try await channel.unary("/test.Test/Echo", request) } }
            await Task.yield()
            calls.forEach { $0.cancel() }
            for call in calls { _ = try? await call.value }
        }
        #expect(try await channel.unary("/test.Test/Echo", [1]) == [1])
        try await counted.untilIdle()
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func everyKindOfAddressIsServed() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("grpc-\(UUID().uuidString.prefix(8)).sock").path
        for address in ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", "[::]:0", "[::1]:0", "unix:\(file)"] {
            let server = try TestServer { $0.address = address }
            let target = address.hasPrefix("unix:") ? address : server.target
            let channel = Channel(target: address == "[::1]:0" ? "[::1]:\(server.port)" : target)
            #expect(try await channel.unary("/test.Test/Echo", [1]) == [1], "\(address)")
            let same = address.replacing(":0", with: ":\(server.port)")
            #expect(throws: ListenError.self) { _ = try TestServer { $0.address = same } }
            channel.close()
            await server.shutdown()
        }
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test(arguments: ["", "nonsense", "127.0.0.1", ":7", "127.0.0.1:70000", "192.0.2.1:0", "no.such.host.invalid:0", "unix:"])
    func aWrongAddressIsRefused(_ address: String) {
        #expect(throws: ListenError.self) { _ = try Server(ServerOptions(address: address)).start() }
    }

    /// What a node allows on the smallest machine.
    @Test func theLargestMessagesFitTheSmallestQuota() async throws {
        let server = try TestServer { $0.maxBufferedBytes = 256 << 20 }
        #expect(try await python("large", server.port) == "")
        await server.shutdown()
    }

    /// Some may be refused; nothing hangs, and the server goes on.
    @Test func moreThanTheQuotaAtOnceIsEnduredAndForgotten() async throws {
        let server = try TestServer { $0.maxBufferedBytes = 256 << 20 }
        let channels = (0..<8).map { _ in Channel(target: server.target) }
        let request = [UInt8](repeating: 7, count: 60 << 20)
        let codes = await withTaskGroup { group in
            for channel in channels {
                group.addTask { await code { try await channel.unary("/test.Test/Echo", request, timeout: .seconds(60)) } }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for code in codes { #expect([nil, .resourceExhausted, .unavailable].contains(code), "\(code as Any)") }
        try await server.untilIdle()
        let again = Channel(target: server.target)
        #expect(try await again.unary("/test.Test/Echo", request).count == request.count)
        for channel in channels + [again] { channel.close() }
        await server.shutdown()
    }

    /// A peer that vanished without a word must not hold its connection, nor its descriptor, for ever.
    @Test func aPeerThatDoesNotAnswerPingsIsDropped() async throws {
        let server = try TestServer { options in
            options.keepaliveInterval = .seconds(1)
            options.keepaliveTimeout = .seconds(1)
        }
        #expect(try await python("silent", server.port) == "")
        await server.shutdown()
    }

    @Test(arguments: [
        ("x ", "x"), (" x\t\n", "x"), ("", ""), (" ", ""), ("a b", "a b"), ("\u{a0}ü\u{2028}", "ü"), ("\0x\u{85}", "x"),
    ])
    func messagesHaveNoWhiteSpaceAtTheirEnds(_ message: String, _ sent: String) {
        #expect(Status(.aborted, message).wireMessage == sent)
    }

    @Test func aServerThatIsShutDownWhileItStartsDoesNotComeUp() async throws {
        for _ in 0..<200 {
            let server = Server(ServerOptions(address: "127.0.0.1:0"))
            server.register("/test.Test/Echo") { call in call.respond([]) }
            let start = Task.detached { try? server.start() }
            await server.shutdown(grace: .zero)
            guard let port = await start.value else { continue }
            // It had come up before; then nobody listens there any more.
            let again = Server(ServerOptions(address: "127.0.0.1:\(port)"))
            #expect(throws: Never.self) { try again.start() }
            await again.shutdown(grace: .zero)
        }
    }
}
