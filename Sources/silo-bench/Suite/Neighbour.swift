import Synchronization

/// How long the first job of one tenant waits while another tenant has 100,000 waiting.
///
/// The wait counts from sending the enqueue to having the task: an idle worker has it as soon as the acknowledgement is out,
/// so a wait from there on would be nothing.
struct Neighbour {
    let place: Suite.Place
    private static let workers = 1
    private static let loud = "loud"
    private static let quiet = "quiet"

    func measure(_ results: inout Results) async throws {
        let waiting = place.isQuick ? 10_000 : 100_000
        let trials = place.isQuick ? 30 : 100
        say("\nneighbours: \(Self.workers) worker that takes one task at a time for 1 ms; \(trials) first jobs of a quiet tenant")
        let server = try await place.start("neighbour", ["--tenancy", "--shards", "1"])
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let idle = try await run(trials, on: queue)
        show("nothing else waits", idle)
        try await Fill.run(queue, waiting, on: server) { _ in Self.loud }
        _ = try await Fill.settle(server)
        let loaded = try await run(trials, on: queue)
        show("\(waiting) jobs of a loud tenant wait", loaded)
        queue.close()
        try await server.stop()
        let medians = (idle: idle.map(\.sinceSent).median, loaded: loaded.map(\.sinceSent).median)
        results.set(
            .neighbour_wait_ratio, medians.loaded / medians.idle,
            "median \(Text.number(medians.loaded, 1)) ms against \(Text.number(medians.idle, 1)) ms, "
                + "\(Text.number(loaded.map { Double($0.passed) }.median, 0)) of the loud tenant's jobs went first"
        )
    }

    private func show(_ what: String, _ waits: [Wait]) {
        func line(_ values: [Double]) -> String {
            "\(Text.number(values.median, 2)) (at most \(Text.number(values.max() ?? 0, 1)))"
        }
        say(
            "  \(what): median ms since sending \(line(waits.map(\.sinceSent))), since the acknowledgement "
                + "\(line(waits.map(\.sinceAcknowledged))), jobs that went first \(line(waits.map { Double($0.passed) }))")
    }

    struct Wait: Sendable {
        var sinceSent: Double
        /// Negative when the task came before the acknowledgement.
        var sinceAcknowledged: Double
        /// Tasks of others that were leased between sending and this one.
        var passed: Int
    }

    /// The workers' notebook.
    private final class Leases: Sendable {
        struct State {
            var isOver = false
            var others = 0
            var taken: (at: Instant, others: Int)?
        }
        let state = Mutex(State())
    }

    private func run(_ trials: Int, on queue: ServedQueue) async throws -> [Wait] {
        let leases = Leases()
        return try await withThrowingTaskGroup { group in
            for _ in 0..<Self.workers { group.addTask { try await work(queue, leases) } }
            defer { leases.state.withLock { $0.isOver = true } }
            var waits: [Wait] = []
            try await Task.sleep(for: .milliseconds(200))
            for trial in 0..<trials {
                // Not in step with the workers.
                try await Task.sleep(for: .microseconds(20_000 + trial * 377 % 10_000))
                let sent = Instant.now
                let before = leases.state.withLock { state in
                    state.taken = nil
                    return state.others
                }
                try await queue.enqueue([Self.quiet], sent: sent)
                let acknowledged = Instant.now
                var taken: (at: Instant, others: Int)?
                while taken == nil {
                    guard Instant.now.seconds(since: sent) < 30 else { throw Failure("a first job was not leased in 30 s") }
                    try await Task.sleep(for: .milliseconds(1))
                    taken = leases.state.withLock { $0.taken }
                }
                guard let taken else { continue }
                waits.append(Wait(
                    sinceSent: taken.at.milliseconds(since: sent),
                    sinceAcknowledged: taken.at.milliseconds(since: acknowledged), passed: taken.others - before
                ))
            }
            return waits
        }
    }

    private func work(_ queue: ServedQueue, _ leases: Leases) async throws {
        while !leases.state.withLock({ $0.isOver }) {
            guard let job = try await queue.lease(1, waitMilliseconds: 200).first else { continue }
            let now = Instant.now
            leases.state.withLock { state in
                if job.tenant == Self.quiet {
                    state.taken = (now, state.others)
                } else {
                    state.others += 1
                }
            }
            try await Task.sleep(for: .milliseconds(1), tolerance: .zero)
            try await queue.report([job])
        }
    }
}
