import GRPC
import Testing

@Suite struct EchoTests {
    @Test func aUnaryCallIsAnswered() async throws {
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        server.register("/test.Test/Echo") { call in call.respond(call.withRequest { Array($0) }) }
        let port = try server.start()
        let channel = Channel(target: "127.0.0.1:\(port)")
        #expect(try await channel.unary("/test.Test/Echo", [1, 2, 3]) == [1, 2, 3])
        channel.close()
        await server.shutdown(grace: .seconds(1))
    }
}
