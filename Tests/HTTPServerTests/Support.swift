import Foundation
import HTTPServer
import TestSupport
import Testing

extension HTTPServer {
    /// One on a free port of this machine.
    static func local(
        _ options: (inout HTTPServerOptions) -> Void = { _ in }, _ routes: (inout HTTPRoutes) -> Void
    ) throws -> HTTPServer {
        var settings = HTTPServerOptions(address: "127.0.0.1:0")
        // Many tests share few threads: what is not about these times must not meet them.
        (settings.requestTime, settings.handlerTime, settings.sendTime) = (.seconds(300), .seconds(300), .seconds(300))
        options(&settings)
        var table = HTTPRoutes()
        table.add("GET", "/hello") { _ in .text("hello") }
        routes(&table)
        return try start(settings, table)
    }

    var root: String { "http://127.0.0.1:\(port)" }

    /// What curl prints, with the status in a last line.
    func curl(_ path: String, _ arguments: String...) async throws -> String {
        let words = ["-sS", "--max-time", "300", "-w", "\n%{http_code}"] + arguments + [root + path]
        return try await ChildProcess.run("/usr/bin/curl", words).output
    }
}
