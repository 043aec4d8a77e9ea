import CommandLineTool
import Dispatch
import Foundation
import SiloClient

// A worker, against a server that runs: `silo`, then `.build/release/mail-worker`, and in a third terminal
// `siloctl enqueue mail '{"to": "ann"}'`. It would send mails; it only says so.

struct Mail: Codable {
    let to: String
}
struct Receipt: Codable {
    let sentTo: String
}

let usage = Usage(
    "mail-worker", "Works on jobs of the task group mail, whose payload is like {\"to\": \"ann\"}, until Ctrl-C.",
    commands: [.init("", help: "", options: [.init("address", "a", "host:port", help: "of a server (127.0.0.1:7450)")])],
    notes: "SILO_AUTH_TOKEN in the environment is its token, where the server asks for one."
)
await Program.run(usage) { arguments in
    var server = ClientOptions(servers: [arguments.text("address", default: "127.0.0.1:7450")])
    // Of a server that lets in whom it knows; see docs/getting-started.md.
    server.token = ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"]
    let silo = Client(server)
    // When nobody is there it says so at once; a worker that runs waits for its server to come back.
    try await silo.ping()
    let worker = Worker(silo, group: "mail") { task in
        let mail = try task.payload.decode(as: Mail.self)
        Program.say("a mail to \(mail.to)")
        return try .success(Receipt(sentTo: mail.to))
    }
    // What it holds is done, and its server hears of it.
    let stops = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: DispatchQueue(label: "signals"))
        source.setEventHandler { @Sendable in worker.stop() }
        source.resume()
        return source
    }
    defer { withExtendedLifetime(stops) {} }
    await worker.run()
}
