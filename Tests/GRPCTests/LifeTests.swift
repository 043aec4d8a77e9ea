import Foundation
import GRPC
import Synchronization
import Testing

/// Limits, shutting down, coming back, and what is left behind.
@Suite(.serialized) struct LifeTests {
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
        #expect(await eventually { server.server.runningCalls == 2 })
        for _ in 0..<100 {
            #expect(await failure { _ = try await channel.unary("/test.Test/Echo", []) }?.code == .resourceExhausted)
        }
        #expect(server.server.runningCalls == 2)
        waiting.forEach { $0.cancel() }
        #expect(await eventually { server.server.runningCalls == 0 })
        #expect(try await channel.unary("/test.Test/Echo", [1]) == [1])
        channel.close()
        await server.shutdown()
    }

    @Test func aLargeRequestThatIsLongInReadingHoldsUpNoSmallOne() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        async let large = channel.unary("/test.Test/Block", [UInt8](repeating: 1, count: 1 << 20))
        async let next = channel.unary("/test.Test/Echo", [UInt8](repeating: 2, count: 1 << 20))
        #expect(await eventually { server.seen.waiting.load(ordering: .relaxed) == 1 })
        for _ in 0..<20 { #expect(try await channel.unary("/test.Test/Echo", [1]) == [1]) }
        server.seen.isReleased.store(true, ordering: .releasing)
        #expect(try await large == [3])
        #expect(try await next.count == 1 << 20)
        channel.close()
        await server.shutdown()
    }

    @Test func aServerEndsThoughALargeRequestIsStillBeingRead() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let large = Task { try await channel.unary("/test.Test/Block", [UInt8](repeating: 1, count: 1 << 20)) }
        #expect(await eventually { server.seen.waiting.load(ordering: .relaxed) == 1 })
        async let ended: Void = server.server.shutdown(grace: .zero)
        #expect(await failure { _ = try await large.value } != nil)
        server.seen.isReleased.store(true, ordering: .releasing)
        await ended
        channel.close()
    }

    @Test func aRunningCallMayFinishWhileNewOnesAreRefused() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        async let slow = channel.unary("/test.Test/Sleep", Array("1000".utf8))
        #expect(await eventually { server.seen.waiting.load(ordering: .relaxed) == 1 })
        let shutdown = Task { await server.server.shutdown(grace: .seconds(10)) }
        try await Task.sleep(for: .milliseconds(200))
        #expect(await failure { _ = try await channel.unary("/test.Test/Echo", []) }?.code == .unavailable)
        #expect(try await slow == [2])
        let start = ContinuousClock.now
        await shutdown.value
        #expect(.now - start < .seconds(3))
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
        // Nobody looks at this one's cancellation, and it comes to its end much later.
        let deaf = Task { try await channel.unary("/test.Test/Sleep", Array("5000".utf8)) }
        #expect(await eventually { server.seen.waiting.load(ordering: .relaxed) == 2 })
        let start = ContinuousClock.now
        await server.server.shutdown(grace: .milliseconds(300))
        #expect(.now - start < .seconds(3))
        #expect(server.seen.cancelled.load(ordering: .relaxed) == 1)
        #expect(await failure { _ = try await waiting.value }?.code == .unavailable)
        #expect(await failure { _ = try await deaf.value }?.code == .unavailable)
        #expect(server.server.runningCalls == 0)
        channel.close()
    }

    @Test func aHandlerMayOutliveItsConnectionDuringShutdown() async throws {
        let server = try TestServer()
        let client = try Peer("client", ["sleep", "\(server.port)"])
        #expect(await eventually { server.seen.waiting.load(ordering: .relaxed) == 1 })
        let start = ContinuousClock.now
        async let shutdown: Void = server.server.shutdown(grace: .seconds(20))
        try await Task.sleep(for: .milliseconds(100))
        client.kill()
        await shutdown
        // Not before the handler has answered, though nobody listens any more; and not long after it.
        #expect((.milliseconds(1000)...(.seconds(10))).contains(.now - start))
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
        #expect(try await channel.unary("/test.Test/Echo", [1]) == [1])
        await first.shutdown()
        #expect(await failure { _ = try await channel.unary("/test.Test/Echo", []) }?.code == .unavailable)
        try await Task.sleep(for: .seconds(1))
        let second = try TestServer { $0.address = first.target }
        let start = ContinuousClock.now
        let end = start + .seconds(10)
        while await failure({ _ = try await channel.unary("/test.Test/Echo", [1]) }) != nil, .now < end {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(.now - start < .seconds(2.5))
        channel.close()
        await second.shutdown()
    }

    @Test func answersRaceWithCancellation() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let ended = Atomic<Int>(0)
        for number in 0..<4000 {
            let path = number % 4 == 0 ? "/test.Test/Wait" : "/test.Test/Sleep"
            let call = channel.unary(path, Array("\(number % 3)".utf8)) { _ in ended.add(1, ordering: .relaxed) }
            if number % 16 == 0 { try await Task.sleep(for: .milliseconds(1)) }
            call.cancel()
        }
        #expect(await eventually { ended.load(ordering: .relaxed) == 4000 })
        #expect(await eventually { server.server.runningCalls == 0 })
        channel.close()
        await server.shutdown()
    }

    @Test func nothingIsLeftBehind() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        func run(_ count: Int) async {
            await withTaskGroup { group in
                for _ in 0..<16 {
                    group.addTask {
                        for number in 0..<count / 16 {
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
                }
            }
        }
        await run(20_000)
        // A leak grows in every round; other suites and the allocator only in some.
        var growth: [Int] = []
        for _ in 0..<4 {
            let before = residentBytes()
            await run(20_000)
            growth.append(residentBytes() - before)
        }
        #expect((growth.min() ?? 0) < 4 << 20, "grew by \(growth.map { $0 >> 10 }) KiB")
        #expect(await eventually { server.server.runningCalls == 0 })
        channel.close()
        await server.shutdown()
        // The other suites run beside this one and clear up after themselves too.
        #expect(await eventually(60) { LiveCalls.count == 0 }, "\(LiveCalls.count) calls are left")
    }

    /// Set GRPC_THROUGHPUT to a number of seconds, and build with `-c release`, to measure.
    @Test func throughput() async throws {
        let seconds = ProcessInfo.processInfo.environment["GRPC_THROUGHPUT"].flatMap { Double($0) }
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let load = Load(channel)
        let start = ContinuousClock.now
        for _ in 0..<64 { load.call() }
        try await Task.sleep(for: .seconds(seconds ?? 0.1))
        load.isOver.store(true, ordering: .relaxed)
        let calls = Double(load.answered.load(ordering: .relaxed))
        let time = (ContinuousClock.now - start) / .seconds(1)
        if seconds != nil { print("\(Int(calls / time)) unary calls/s, 64 in flight, 100 bytes") }
        #expect(await eventually { server.server.runningCalls == 0 })
        #expect(load.failed.load(ordering: .relaxed) == 0)
        channel.close()
        await server.shutdown()
    }

    private final class Load: Sendable {
        let answered = Atomic<Int>(0)
        let failed = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
        private let channel: Channel
        private let request = [UInt8](repeating: 7, count: 100)

        init(_ channel: Channel) { self.channel = channel }

        func call() {
            channel.unary("/test.Test/Echo", request) { result in
                if case .failure = result { self.failed.add(1, ordering: .relaxed) }
                self.answered.add(1, ordering: .relaxed)
                if !self.isOver.load(ordering: .relaxed) { self.call() }
            }
        }
    }

    private func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .ascii)) ?? ""
        return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
    }
}
