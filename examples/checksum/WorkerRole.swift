import CommandLineTool
import Dispatch
import Foundation
import SiloClient

/// One worker process: computes summaries until it is told to stop.
func work(_ arguments: Arguments) async throws {
    let client = Client(arguments.text("address", default: "127.0.0.1:7450"))
    let failPercent = try arguments.number("fail-percent", default: 5, in: 0...100)
    var options = WorkerOptions()
    options.version = "1"
    options.concurrency = 8
    options.wait = .seconds(5)
    // While the server is down every call fails; one line a second says enough.
    options.onError = { error in Program.complain("worker \(ProcessInfo.processInfo.processIdentifier): \(error)") }
    let worker = Worker(client, group: arguments.text("group", default: "checksum"), options) { task in
        let request = try task.payload.decode(as: FileRequest.self)
        let attempt = Int(task.relativeAttempt)
        // The same files fail in every run: some once, a few twice.
        let luck = request.path.utf8.reduce(UInt32(17)) { $0 &* 31 &+ UInt32($1) } % 1000
        if luck < UInt32(failPercent * 10), attempt == 1 || (luck % 5 == 0 && attempt == 2) {
            return .failed(code: "INJECTED", data: try Payload(["attempt": attempt]))
        }
        return try .success(FileSummary.of(request.path, attempt: attempt))
    }
    signal(SIGTERM, SIG_IGN)
    // A queue of its own has a thread of its own: the global ones share theirs with handlers.
    let stop = DispatchSource.makeSignalSource(signal: SIGTERM, queue: DispatchQueue(label: "signals"))
    stop.setEventHandler { worker.stop() }
    stop.resume()
    await worker.run()
}
