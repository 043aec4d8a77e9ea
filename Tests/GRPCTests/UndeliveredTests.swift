import GRPC
import Synchronization
import Testing

/// Answers that reach nobody are told to whoever gave them, and no others are.
@Suite(.timeLimit(.minutes(2))) struct UndeliveredTests {
    @Test(arguments: ["reset", "close"])
    func anAnswerThatHasNotLeftWhenTheClientGoesIsTold(_ ending: String) async throws {
        let server = try TestServer()
        let peer = try Peer("client", ["stuck", "\(server.port)", ending])
        #expect(await eventually { server.seen.untaken.withLock { $0.count } == 20 })
        peer.close()
        #expect(await peer.result().status == 0)
        #expect(await eventually { server.server.runningCalls == 0 })
        #expect(server.seen.untaken.withLock { $0.count } == 20, "each once")
        await server.shutdown()
    }

    @Test func anAnswerToACallThatIsOverIsTold() async throws {
        let told = Atomic<Int>(0)
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        server.register("/test.Test/Twice") { call in
            call.fail(Status(.aborted))
            call.respond([1], onUndelivered: { told.add(1, ordering: .relaxed) })
        }
        server.register("/test.Test/Large") { call in
            call.respond([UInt8](repeating: 0, count: (128 << 20) + 1), onUndelivered: { told.add(1, ordering: .relaxed) })
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Twice", []) }
        #expect(told.load(ordering: .relaxed) == 1)
        await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Large", []) }
        #expect(await eventually { told.load(ordering: .relaxed) == 2 })
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func anAnswerAfterACancellationIsTold() async throws {
        let told = Atomic<Int>(0)
        let waiting = Atomic<Int>(0)
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        server.register("/test.Test/Late") { call in
            waiting.add(1, ordering: .relaxed)
            call.onCancel { call.respond([1], onUndelivered: { told.add(1, ordering: .relaxed) }) }
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        let call = Task { try await channel.unary("/test.Test/Late", []) }
        #expect(await eventually { waiting.load(ordering: .relaxed) == 1 })
        call.cancel()
        #expect(await eventually { told.load(ordering: .relaxed) == 1 })
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    /// What would be worse than a lost answer: one that was taken, and given back besides.
    @Test func noAnswerThatWasTakenIsTold() async throws {
        let server = try TestServer()
        let channel = Channel(target: server.target)
        let taken = await withTaskGroup(of: UInt16?.self) { group in
            for number in UInt16(0)..<3000 {
                group.addTask {
                    let request = [UInt8(number >> 8), UInt8(number & 0xff)]
                    let call = Task { try await channel.unary("/test.Test/Told", request) }
                    // Some are cancelled before they leave, some on the way, some when they are over.
                    for _ in 0..<(number % 97) { await Task.yield() }
                    call.cancel()
                    return (try? await call.value) == nil ? nil : number
                }
            }
            return await group.reduce(into: Set<UInt16>()) { taken, number in if let number { taken.insert(number) } }
        }
        #expect(await eventually { server.server.runningCalls == 0 })
        let told = server.seen.untaken.withLock { $0 }.map { UInt16($0[0]) << 8 | UInt16($0[1]) }
        #expect(Set(told).count == told.count, "each once")
        #expect(taken.isDisjoint(with: told))
        channel.close()
        await server.shutdown()
    }
}
