import CommandLineTool
import Dispatch
import Foundation
import OTLP
import SiloClient
import SiloTelemetry

// A worker for the integration tests. A job says what its handler does, `{"name": "a", "spin": 13}` or `"sleep"`, in seconds; the
// worker writes a line of JSON for each thing that happens, with the time on CLOCK_MONOTONIC, which the tests compare with their
// own.

struct Work: Codable, Sendable {
    let name: String
    /// Computes without ever giving up its thread, and does not look whether it was told to stop.
    var spin: Double?
    /// Waits, until it is told to stop.
    var sleep: Double?
}

struct Event: Codable, Sendable {
    let event: String
    var name: String?
    var attempt: UInt32?
    /// The handler was told to stop.
    var isCancelled: Bool?
    var text: String?
    var at = monotonicSeconds()
}

func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func write(_ event: Event) {
    guard let line = try? JSONEncoder().encode(event) else { return }
    FileHandle.standardOutput.write(line + Data("\n".utf8))
}

func handle(_ context: TaskContext) async throws -> TaskOutcome {
    let work = try context.payload.decode(as: Work.self)
    write(Event(event: "begin", name: work.name, attempt: context.attempt))
    let end = monotonicSeconds() + (work.spin ?? work.sleep ?? 0)
    if work.spin != nil {
        while monotonicSeconds() < end {}
    } else {
        while monotonicSeconds() < end, !context.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }
    write(Event(event: "end", name: work.name, attempt: context.attempt, isCancelled: context.isCancelled))
    return try .success(work.name)
}

func work(_ arguments: Arguments) async throws {
    var clientOptions = ClientOptions(servers: [arguments.text("address", default: "127.0.0.1:7450")])
    clientOptions.token = arguments.text("token")
    let spans = SpanExporter(of: "worker", version: "1", ProcessInfo.processInfo.environment)
    clientOptions.tracer = spans?.tracer
    let client = Client(clientOptions)
    var options = WorkerOptions()
    options.concurrency = try arguments.number("concurrency", default: 4, in: 1...1000)
    options.outcomePatience = .seconds(try arguments.number("patience", default: 60, in: 0...3600))
    options.onError = { write(Event(event: "error", name: $0.jobID, text: "\($0)")) }
    let worker = Worker(client, group: arguments.text("group", default: "g"), options, handler: handle)
    signal(SIGTERM, SIG_IGN)
    // A queue of its own has a thread of its own; the global ones share theirs with handlers.
    let stop = DispatchSource.makeSignalSource(signal: SIGTERM, queue: DispatchQueue(label: "signals"))
    stop.setEventHandler { worker.stop() }
    stop.resume()
    write(Event(event: "ready"))
    // Jobs of the application itself, when it is to enqueue some: so many, one span around each.
    for number in 0..<(try arguments.number("enqueue", default: 0, in: 0...1000)) {
        let span = spans?.tracer.begin(SpanStart("upload"))
        try await TraceContext.$current.withValue(span?.context) {
            _ = try await client.enqueue(try NewJob(worker.group, Work(name: "job \(number)")))
        }
        span?.end(failure: nil)
    }
    await worker.run()
    await spans?.close()
    write(Event(event: "stopped"))
}

let usage = Usage("silo-test-worker", "Runs the jobs of an integration test.", commands: [.init("", help: "", options: [
    .init("address", "a", "url", help: "of the server"),
    .init("group", nil, "name", help: "the task group"),
    .init("token", nil, "secret", help: "of the server"),
    .init("concurrency", nil, "count", help: "handlers at once (4)"),
    .init("enqueue", nil, "count", help: "jobs to enqueue at first, each in a span of its own (0)"),
    .init("patience", nil, "seconds", help: "for outcomes, when it was told to stop (60)"),
])])

await Program.run(usage, work)
