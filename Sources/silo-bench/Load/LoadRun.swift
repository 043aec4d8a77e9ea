import CommandLineTool
import Foundation
import SiloClient

/// The load command: loops against a server or a shard in this process, with progress lines and totals.
struct LoadRun {
    private let arguments: Arguments
    private let plan: LifeCycles.Plan
    private let payload: Payload
    private let seconds: Int
    private let interval: Int
    private let mode: Mode
    private let printer: LoadPrinter

    private enum Mode: String {
        case grpc
        case library
        case inprocess
    }

    /// Options that mean nothing in a mode.
    private static let strangers: [Mode: [String]] = [
        .grpc: ["data"],
        .library: ["data", "channels", "batch", "max-tasks-per-poll", "tenant-count", "tenant-prefix", "imbalance-factor"],
        .inprocess: ["address", "channels", "auth-token"],
    ]

    init(_ arguments: Arguments) throws {
        self.arguments = arguments
        let name = arguments.text("mode", default: Mode.grpc.rawValue)
        guard let mode = Mode(rawValue: name) else {
            throw Arguments.Mistake("--mode must be grpc, library or inprocess, not \(name)")
        }
        for option in Self.strangers[mode, default: []] where arguments.has(option) {
            throw Arguments.Mistake("--\(option) has no meaning with --mode \(mode.rawValue)")
        }
        self.mode = mode
        var plan = LifeCycles.Plan()
        plan.workers = try arguments.number("workers", default: 8, in: 1...100_000)
        plan.enqueuers = try arguments.number("enqueuers", default: 4, in: 1...100_000)
        plan.leaseMax = try arguments.number("max-tasks-per-poll", default: 4, in: 1...10_000)
        plan.batch = try arguments.number("batch", default: 1, in: 1...10_000)
        plan.unfinishedMax = try arguments.number("backlog", default: 10_000, in: plan.batch...Int.max)
        plan.tenants = Tenants(
            prefix: arguments.text("tenant-prefix", default: "bench"),
            count: try arguments.number("tenant-count", default: 1, in: 1...1_000_000),
            imbalance: try arguments.fraction("imbalance-factor", default: 1, in: 0.001...1_000_000)
        )
        self.plan = plan
        payload = Payload(bytes: try arguments.number("payload-bytes", default: 200, in: Payload.bytesMin...(4 << 20)))
        seconds = try arguments.number("duration-secs", default: 30, in: 1...1_000_000)
        interval = try arguments.number("report-interval-secs", default: 1, in: 1...1_000_000)
        printer = LoadPrinter(isJSON: arguments.has("json"), hasJSONProgress: arguments.has("structured-logging"))
    }

    func run() async throws {
        switch mode {
        case .grpc:
            let queue = try await ServedQueue(
                address, channels: try arguments.number("channels", default: 1, in: 1...1000), authToken: token, payload: payload)
            try await load(LifeCycles(queue, plan))
            queue.close()
        case .library:
            var options = ClientOptions(servers: [address])
            options.token = token
            try await load(LibraryLoad(options, plan, payload: payload))
        case .inprocess:
            let folder = try WorkFolder(arguments.text("data"))
            defer { folder.remove() }
            let shard = try await OpenShard(folder.store("shard"), payload: payload)
            try await load(LifeCycles(shard, plan))
            try await shard.close()
        }
    }

    private var address: String { arguments.text("address", default: "http://localhost:7450") }
    private var token: String? { arguments.text("auth-token") ?? ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"] }

    private func load(_ cycles: some LoadLoops) async throws {
        let begun = Instant.now
        cycles.record()
        cycles.start()
        var last = (at: begun, counts: cycles.counts)
        for second in stride(from: min(interval, seconds), through: seconds, by: interval) {
            await begun.advanced(seconds: Double(second)).arrive()
            let now = (at: Instant.now, counts: cycles.counts)
            printer.progress(now.counts, elapsed: now.at.seconds(since: begun), rates: rates(from: last, to: now))
            last = now
        }
        let elapsed = Instant.now.seconds(since: begun)
        cycles.stopEnqueuing()
        let atEnd = cycles.counts
        await drain(cycles)
        await cycles.stop()
        let drained = cycles.counts
        printer.totals(atEnd, drained, cycles.stopRecording(), elapsed: elapsed)
        if drained.reported == 0 { throw Failure(drained.failure ?? "no job was finished") }
    }

    private typealias Point = (at: Instant, counts: Counts)

    private func rates(from last: Point, to now: Point) -> (enqueue: Double, report: Double) {
        let passed = now.at.seconds(since: last.at)
        guard passed > 0 else { return (0, 0) }
        return (
            Double(now.counts.enqueued - last.counts.enqueued) / passed,
            Double(now.counts.reported - last.counts.reported) / passed
        )
    }

    /// Lets the workers finish what was enqueued: until nothing was reported for 6 s, or 120 s.
    private func drain(_ cycles: some LoadLoops) async {
        let begun = Instant.now
        while Instant.now.seconds(since: begun) < 120 {
            let counts = cycles.counts
            let lastStep = max(cycles.lastReport, begun)
            guard counts.reported < counts.enqueued, Instant.now.seconds(since: lastStep) < 6 else { return }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}
