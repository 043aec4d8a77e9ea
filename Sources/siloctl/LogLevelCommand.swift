import CommandLineTool
import SiloAPI

/// Shows or changes which log lines the addressed server writes.
func logLevel(_ arguments: Arguments, _ output: Output) async throws {
    var request = SiloV1.SetLogFilterRequest()
    if let filter = arguments.text("set") { request.filter = filter == "default" ? "" : filter }
    let answer = try await Server(arguments).call(SiloV1.Silo.setLogFilter, request)
    let change = answer.before == answer.filter ? "" : " (before: \(answer.before))"
    try output.print(["filter": answer.filter, "before": answer.before], ["\(answer.filter)\(change)"])
}
