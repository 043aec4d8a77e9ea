import Foundation
import GRPC
import TestSupport
import Testing

/// Limits, shutting down, coming back, and what is left behind.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LifeTests {
    private func failure(_ body: () async throws -> Void) async -> Status? {
        do {
            try await body()
            return nil
        } catch {
            return error as? Status
        }
    }

    @Test func callsPastTheLimitAreRefused() async throws {
        let server = try TestServer { $0.maxConcurrentCalls = 2 }
        let channel = Channel(target: server.target)
        let waiting = (0..<2).map { _ in Task { try await channel.unary("/test.Test/Wait", []) } }
        try await server.seen.waiting.until(2)
        for _ in 0..<100 {
            #expect(await failure { _ = try await channel.unary("/test.Test/Echo", []) }?.code == .resourceExhausted)
        }
        #expect(server.server.runningCalls == 2)
        waiting.forEach { $0.cancel() }
        try await server.untilIdle()
        #expect(try await channel.unary("/test.Test/Echo", [1]) == [1])
        channel.close()
        await server.shutdown()
    }

    @Test func aLargeRequestThatIsLongInReadingHoldsUpNoSmallOne() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        async let large = channel.unary("/test.Test/Block", [UInt8](repeating: 1, count: 1 << 20))
        async let next = channel.unary("/test.Test/Echo", [UInt8](repeating: 2, count: 1 << 20))
        try await server.seen.waiting.until(1)
        for _ in 0..<20 { #expect(try await channel.unary("/test.Test/Echo", [1]) == [1]) }
        server.seen.release.signal()
        #expect(try await large == [3])
        #expect(try await next.count == 1 << 20)
        channel.close()
        await server.shutdown()
    }

    @Test func aServerEndsThoughALargeRequestIsStillBeingRead() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let large = Task { try await channel.unary("/test.Test/Block", [UInt8](repeating: 1, count: 1 << 20)) }
        try await server.seen.waiting.until(1)
        async let ended: Void = server.server.shutdown(grace: .zero)
        #expect(await failure { _ = try await large.value } != nil)
        server.seen.release.signal()
        await ended
        channel.close()
    }

    @Test func aRunningCallMayFinishWhileNewOnesAreRefused() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        async let slow = channel.unary("/test.Test/Late", [])
        try await server.seen.waiting.until(1)
        let start = ContinuousClock.now
        async let shutdown: Void = server.server.shutdown(grace: .seconds(100))
        try await eventually("new calls are refused") {
            await failure { _ = try await channel.unary("/test.Test/Echo", []) }?.code == .unavailable
        }
        server.seen.answers.open()
        #expect(try await slow == [2])
        await shutdown
        #expect(.now - start < .seconds(100), "it waits for the call, not for the grace")
        await server.server.shutdown(grace: .zero)
        #expect(server.server.runningCalls == 0)
        channel.close()
    }

    @Test func aServerMayBeShutDownAgainAfterItsEnd() async throws {
        for _ in 0..<100 {
            let server = try TestServer()
            let channel = Channel(target: server.target)
            #expect(try await channel.unary("/test.Test/Echo", [1]) == [1])
            async let other: Void = server.server.shutdown(grace: .zero)
            await server.server.shutdown(grace: .zero)
            await other
            await server.server.shutdown(grace: .zero)
            channel.close()
        }
    }

    @Test func callsAreCancelledAfterTheGrace() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let waiting = Task { try await channel.unary("/test.Test/Wait", []) }
        // Its handler does nothing about its cancellation, and answers when all is over.
        let deaf = Task { try await channel.unary("/test.Test/Late", []) }
        try await server.seen.waiting.until(2)
        await server.server.shutdown(grace: .milliseconds(300))
        #expect(server.seen.cancelled.value == 2)
        #expect(await failure { _ = try await waiting.value }?.code == .unavailable)
        #expect(await failure { _ = try await deaf.value }?.code == .unavailable)
        #expect(server.server.runningCalls == 0)
        server.seen.answers.open()
        channel.close()
    }

    @Test func aHandlerMayOutliveItsConnectionDuringShutdown() async throws {
        let server = try TestServer()
        let client = try peer("client", ["late", "\(server.port)"])
        try await server.seen.waiting.until(1)
        let start = ContinuousClock.now
        let over = Tally()
        let shutdown = Task {
            await server.server.shutdown(grace: .seconds(100))
            over.add()
        }
        client.kill()
        try await server.seen.cancelled.until(1)
        // Not before the handler has answered, though nobody listens any more; and not long after it.
        #expect(over.value == 0)
        server.seen.answers.open()
        await shutdown.value
        #expect(.now - start < .seconds(100))
        #expect(server.server.runningCalls == 0)
    }

    @Test func shutdownFromSeveralTasksAtOnce() async throws {
        for _ in 0..<20 {
            let server = try TestServer()
            let channel = Channel(target: server.target)
            _ = try await channel.unary("/test.Test/Echo", [])
            for _ in 0..<20 { channel.unary("/test.Test/Wait", []) { _ in } }
            for _ in 0..<20 { channel.unary("/test.Test/Echo", []) { _ in } }
            await withTaskGroup { group in
                for _ in 0..<4 { group.addTask { await server.server.shutdown(grace: .milliseconds(5)) } }
            }
            #expect(server.server.runningCalls == 0)
            channel.close()
        }
        await Server(ServerOptions(address: "127.0.0.1:0")).shutdown(grace: .zero)
    }

    @Test func aChannelFindsARestartedServer() async throws {
        let first = try TestServer()
        let channel = Channel(target: first.target)
        func echo() async -> Status? { await failure { _ = try await channel.unary("/test.Test/Echo", [1]) } }
        #expect(await echo() == nil)
        await first.shutdown()
        // It tries again and again meanwhile, and waits longer each time.
        let away = ContinuousClock.now
        try await eventually("a second is over") {
            #expect(await echo()?.code == .unavailable)
            return .now - away > .seconds(1)
        }
        let second = try TestServer { $0.address = first.target }
        let back = ContinuousClock.now
        try await eventually("it is found") { await echo() == nil }
        #expect(.now - back < .seconds(10))
        channel.close()
        await second.shutdown()
    }

    @Test func answersRaceWithCancellation() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        server.seen.answers.open()
        let ended = Tally()
        for number in 0..<4000 {
            let path = ["/test.Test/Wait", "/test.Test/Late", "/test.Test/Echo"][number % 3]
            let call = channel.unary(path, []) { _ in ended.add() }
            // Some are cancelled before they leave, some on the way, some when they are over.
            if number % 16 == 0 { _ = try await channel.unary("/test.Test/Echo", []) }
            call.cancel()
        }
        try await ended.until(4000)
        try await server.untilIdle()
        channel.close()
        await server.shutdown()
    }

    /// In a process of its own: what others do at the same time is not counted.
    @Test func nothingIsLeftBehind() async {
        await #expect(processExitsWith: .success) {
            let server = try TestServer()
            let channel = Channel(target: server.target)
            await Mixture(channel).run(20_000)
            // A leak grows in every round; the allocator only in some.
            var growth: [Int] = []
            for _ in 0..<4 {
                let before = try residentBytes()
                await Mixture(channel).run(20_000)
                growth.append(try residentBytes() - before)
            }
            #expect((growth.min() ?? 0) < 4 << 20, "grew by \(growth.map { $0 >> 10 }) KiB")
            try await server.untilIdle()
            channel.close()
            await server.shutdown()
            // What has ended is let go by the threads of the core, in their own time.
            try await eventually("no call is left") { LiveCalls.count == 0 }
        }
    }
}

/// Calls of all kinds, that end in all ways.
private struct Mixture {
    private let channel: Channel

    init(_ channel: Channel) { self.channel = channel }

    func run(_ count: Int) async {
        await withTaskGroup { group in
            for _ in 0..<16 {
                group.addTask { for number in 0..<count / 16 { await call(number) } }
            }
        }
    }

    private func call(_ number: Int) async {
        switch number % 8 {
        case 0: _ = try? await channel.unary("/test.Test/Fail", [])
        case 1: _ = try? await channel.unary("/test.Test/Nowhere", [])
        case 2: _ = try? await channel.unary("/test.Test/Wait", [], timeout: .milliseconds(1))
        case 3:
            var messages = channel.serverStream("/test.Test/Endless", []).makeAsyncIterator()
            _ = try? await messages.next()
        default: _ = try? await channel.unary("/test.Test/Echo", [UInt8](repeating: 1, count: 3000))
        }
    }
}

private func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .ascii)
    return try #require(Int(text.split(separator: " ")[1])) * 4096
}
