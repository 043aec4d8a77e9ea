import Synchronization

/// How long a ready job takes to reach a worker that waits: from sending the enqueue to having the task.
struct ReadyToLeased {
    let place: Suite.Place
    private static let perSecond = 50

    func measure(_ results: inout Results) async throws {
        let seconds = place.isQuick ? 5 : 30
        say("\nready to leased: a worker always waits, \(Self.perSecond) jobs a second for \(seconds) s")
        let server = try await place.start("ready")
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let count = seconds * Self.perSecond
        async let waits = work(queue, count)
        var tick = Instant.now
        for index in 0..<count {
            tick = max(tick.advanced(seconds: 1 / Double(Self.perSecond)), .now)
            await tick.advanced(seconds: Double(index % 10) / 10_000).arrive()
            try await queue.enqueue([nil])
        }
        let summary = try await waits.summary
        queue.close()
        try await server.stop()
        say(
            "  ms p50 \(Text.number(summary.p50, 2))  p95 \(Text.number(summary.p95, 2))  p99 \(Text.number(summary.p99, 2))  "
                + "max \(Text.number(summary.max, 1))"
        )
        results.set(
            .ready_to_leased_p99_ms, summary.p99,
            "\(summary.count) jobs at \(Self.perSecond)/s, p50 \(Text.number(summary.p50, 2)) ms"
        )
    }

    /// Leases `count` tasks one after another; reports go beside, so that the next request waits at once.
    private func work(_ queue: ServedQueue, _ count: Int) async throws -> Samples {
        try await withThrowingTaskGroup { reports in
            var waits = Samples()
            while waits.count < count {
                let jobs = try await queue.lease(1, waitMilliseconds: 10_000)
                let now = Instant.now
                guard let job = jobs.first else { throw Failure("no job came in 10 s; \(waits.count) of \(count) did") }
                if let sent = job.sent { waits.add(now.milliseconds(since: sent)) }
                reports.addTask { try await queue.report([job]) }
            }
            try await reports.waitForAll()
            return waits
        }
    }
}
