import GRPC
import TestSupport
import Testing

/// Answers that reach nobody are told to whoever gave them, and no others are.
@Suite(.timeLimit(.minutes(10))) struct UndeliveredTests {
    @Test(arguments: ["reset", "close"])
    func anAnswerThatHasNotLeftWhenTheClientGoesIsTold(_ ending: String) async throws {
        let server = try TestServer()
        let client = try peer("client", ["stuck", "\(server.port)", ending])
        try await server.seen.untaken.until(20)
        client.closeInput()
        #expect(try await client.ending().status == 0)
        try await server.untilIdle()
        #expect(server.seen.untaken.count == 20, "each once")
        await server.shutdown()
    }

    @Test func anAnswerToACallThatIsOverIsTold() async throws {
        let told = Tally()
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        server.register("/test.Test/Twice") { call in
            call.fail(Status(.aborted))
            call.respond([1], onUndelivered: { told.add() })
        }
        server.register("/test.Test/Large") { call in
            call.respond([UInt8](repeating: 0, count: (128 << 20) + 1), onUndelivered: { told.add() })
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Twice", []) }
        #expect(told.value == 1)
        await #expect(throws: Status.self) { _ = try await channel.unary("/test.Test/Large", []) }
        try await told.until(2)
        channel.close()
        await server.shutdown(grace: .seconds(2))
    }

    @Test func anAnswerAfterACancellationIsTold() async throws {
        let told = Tally()
        let waiting = Tally()
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        server.register("/test.Test/Late") { call in
            waiting.add()
            call.onCancel { call.respond([1], onUndelivered: { told.add() }) }
        }
        let channel = Channel(target: "127.0.0.1:\(try server.start())")
        let call = Task { try await channel.unary("/test.Test/Late", []) }
        try await waiting.until(1)
        call.cancel()
        try await told.until(1)
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
        try await server.untilIdle()
        let told = server.seen.untaken.all.map { UInt16($0[0]) << 8 | UInt16($0[1]) }
        #expect(Set(told).count == told.count, "each once")
        #expect(taken.isDisjoint(with: told))
        channel.close()
        await server.shutdown()
    }
}
