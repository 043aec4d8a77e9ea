import CommandLineTool
import SiloAPI

/// `health`: whether the addressed server takes calls, asked as gRPC's own health probes ask. Whoever asks needs no token.
func showHealth(_ arguments: Arguments, _ output: Output) async throws {
    let server = try Server(arguments, patience: .seconds(5))
    defer { server.close() }
    let isWhole = arguments.has("all-shards")
    var request = GRPCHealthV1.HealthCheckRequest()
    request.service = isWhole ? SiloV1.Silo.name : ""
    let answer = try await server.call(GRPCHealthV1.Health.check, request)
    guard answer.status == .serving else {
        throw Failure(isWhole ? "not all shards of the server take calls" : "the server takes no calls")
    }
    try output.print(["serving": true], [isWhole ? "All shards take calls" : "It takes calls"])
}
