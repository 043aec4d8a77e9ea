import SiloAPI
import SiloClient
import Synchronization

/// How long a freed slot takes to reach a worker that waits: from sending the report that frees it to having the next task,
/// with very many jobs waiting for the key and thousands of other keys full.
struct Handover {
    let place: Suite.Place
    private static let fullKeys = 10_000

    func measure(_ results: inout Results) async throws {
        let waiting = place.isQuick ? 10_000 : 100_000
        let samples = place.isQuick ? 200 : 1000
        say("\nhand-over: \(waiting) jobs wait for one slot, \(Self.fullKeys) other keys are full")
        let server = try await place.start("handover")
        let connection = Connection(server.address, channels: 2)
        defer { connection.close() }
        let shard = try await Topology.of(server.address).shards[0].id
        // Of each other key one job is ready and holds the slot, and one waits.
        try await fill(connection, shard, group: "others", count: 2 * Self.fullKeys) { .slots("full-\($0 / 2)", 1) }
        try await fill(connection, shard, group: "hot", count: waiting) { _ in .slots("hot", 1) }
        _ = try await Fill.settle(server)

        var request = SiloV1.LeaseTasksRequest()
        request.workerId = "silo-bench"
        request.taskGroup = "hot"
        request.maxTasks = 1
        request.waitMs = 10_000
        var task = try await connection.call(SiloV1.Silo.leaseTasks, request).tasks.first
        var waits = Samples()
        var flushes = Samples()
        var beyond = Samples()
        let wanted = request
        while waits.count < samples, let held = task {
            async let next = connection.call(SiloV1.Silo.leaseTasks, wanted)
            try await Task.sleep(for: .milliseconds(4))
            var report = SiloV1.ReportOutcomeRequest()
            report.shard = shard
            report.taskId = held.id
            report.outcome = .success(SiloV1.SerializedBytes(msgpack: emptyObject))
            let sent = Instant.now
            _ = try await connection.call(SiloV1.Silo.reportOutcome, report)
            // The answer to the report is one durable write and a round trip: that of the write which hands the slot over.
            let flush = Instant.now.milliseconds(since: sent)
            task = try await next.tasks.first
            let wait = Instant.now.milliseconds(since: sent)
            flushes.add(flush)
            waits.add(wait)
            beyond.add(max(0, wait - flush))
        }
        try await server.stop()
        guard waits.count == samples else { throw Failure("a freed slot reached nobody in 10 s") }
        let (wait, flush) = (waits.summary, flushes.summary)
        results.set(
            .handover_p99_ms, wait.p99,
            "p50 \(Text.number(wait.p50, 2)) ms; a report's own answer p50 \(Text.number(flush.p50, 2)), p99 "
                + "\(Text.number(flush.p99, 2)) ms"
        )
        results.set(
            .handover_flush_p99_ms, beyond.summary.p99,
            "p99 of what a hand-over takes beyond its own durable write (the report's answer)")
    }

    private func fill(
        _ connection: Connection, _ shard: String, group: String, count: Int, _ limit: @Sendable (Int) -> SiloV1.Limit
    ) async throws {
        for start in stride(from: 0, to: count, by: 1000) {
            var batch = SiloV1.EnqueueBatchRequest()
            batch.shard = shard
            batch.jobs = (start..<min(start + 1000, count)).map { index in
                var job = SiloV1.EnqueueRequest()
                job.taskGroup = group
                job.priority = 50
                job.payload = SiloV1.SerializedBytes(msgpack: Payload(bytes: 200).bytes(sent: .now))
                job.limits = [limit(index)]
                return job
            }
            let response = try await connection.call(SiloV1.Silo.enqueueBatch, batch)
            if let failed = response.results.first(where: { $0.code != 0 }) { throw Failure(failed.error) }
        }
        say("  \(count) jobs of group \(group) stored")
    }
}

/// Jobs that need X and Y, and as many that need Y and X, with one slot each: all must finish.
struct Deadlock {
    let place: Suite.Place

    func measure(_ results: inout Results) async throws {
        let count = place.isQuick ? 1000 : 4000
        say("\ndeadlock: \(count) jobs that need X and Y, in either order, one slot each")
        let server = try await place.start("deadlock")
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200)) { index in
            index % 2 == 0 ? [.slots("X", 1), .slots("Y", 1)] : [.slots("Y", 1), .slots("X", 1)]
        }
        for _ in 0..<count / 1000 { try await queue.enqueue([String?](repeating: nil, count: 1000)) }
        let begun = Instant.now
        let counter = Counter()
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    while counter.done.load(ordering: .relaxed) < count, Instant.now.seconds(since: begun) < 120 {
                        let jobs = try await queue.lease(4, waitMilliseconds: 200)
                        guard !jobs.isEmpty else { continue }
                        try await queue.report(jobs)
                        counter.done.wrappingAdd(jobs.count, ordering: .relaxed)
                    }
                }
            }
            try await group.waitForAll()
        }
        queue.close()
        try await server.stop()
        let finished = counter.done.load(ordering: .relaxed)
        results.set(
            .deadlock_unfinished, Double(count - finished),
            "\(finished) of \(count) jobs in \(Text.number(Instant.now.seconds(since: begun), 1)) s"
        )
    }
}

/// Jobs that a quiet tenant gets done a second while another floods a thousand keys, over what it gets done alone. It offers half
/// of its fair share, which is half of what the workers do for it alone: so little that a noisy machine does it all the same.
struct Flood {
    let place: Suite.Place

    func measure(_ results: inout Results) async throws {
        say("\nflood: a quiet tenant alone, and beside one that floods 1,000 keys")
        let server = try await place.start("flood", ["--tenancy", "--shards", "1"])
        let quiet = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let flood = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200)) {
            [.slots("key-\($0 % 1000)", 5)]
        }
        let capacity = try await run(quiet, quiet, offered: nil, seconds: place.window / 2).quiet
        let fairShare = capacity / 2
        let offered = fairShare / 2
        var alone: [Double] = []
        var beside: [Double] = []
        for _ in 0..<3 {
            alone.append(try await run(quiet, quiet, offered: offered, seconds: place.window / 2).quiet)
            for _ in 0..<(place.isQuick ? 5 : 10) { try await flood.enqueue([String?](repeating: "flood", count: 1000)) }
            let both = try await run(quiet, flood, offered: offered, seconds: place.window / 2)
            beside.append(both.quiet)
            say(
                "  quiet \(Text.number(alone.last ?? 0, 0))/s alone, \(Text.number(both.quiet, 0))/s beside "
                    + "\(Text.number(both.others, 0))/s of the flood"
            )
        }
        quiet.close()
        flood.close()
        try await server.stop()
        results.set(
            .flood_neighbour_share, beside.median / alone.median,
            "\(Text.number(beside.median, 0))/s beside the flood, \(Text.number(alone.median, 0))/s alone, "
                + "\(Text.number(offered, 0))/s offered"
        )
    }

    /// - Parameter offered: jobs a second of the quiet tenant; nil: as many as get done.
    private func run(
        _ quiet: ServedQueue, _ flood: ServedQueue, offered: Double?, seconds: Double
    ) async throws -> (quiet: Double, others: Double) {
        let end = Instant.now.advanced(seconds: seconds)
        let notebook = Notebook()
        try await withThrowingTaskGroup { group in
            for _ in 0..<16 {
                group.addTask {
                    while Instant.now < end {
                        let jobs = try await quiet.lease(4, waitMilliseconds: 100)
                        guard !jobs.isEmpty else { continue }
                        for tenant in Set(jobs.map(\.tenant)) { try await quiet.report(jobs.filter { $0.tenant == tenant }) }
                        let ours = jobs.count { $0.tenant == "quiet" }
                        notebook.counts.withLock { $0.quiet += ours; $0.others += jobs.count - ours }
                        // The flood stays as high as it was.
                        if jobs.count > ours { try await flood.enqueue([String?](repeating: "flood", count: jobs.count - ours)) }
                    }
                }
            }
            let begun = Instant.now
            // Enough that none still waits for its answer when its next job is due.
            let loops = offered == nil ? 16 : 64
            for loop in 0..<loops {
                group.addTask {
                    var sent = 0
                    while Instant.now < end {
                        if let offered {
                            await begun.advanced(seconds: Double(sent * loops + loop) / offered).arrive()
                        } else if notebook.counts.withLock({ $0.enqueued - $0.quiet > 256 }) {
                            try await Task.sleep(for: .milliseconds(1))
                            continue
                        }
                        try await quiet.enqueue(["quiet"])
                        notebook.counts.withLock { $0.enqueued += 1 }
                        sent += 1
                    }
                }
            }
            try await group.waitForAll()
        }
        let result = notebook.counts.withLock { $0 }
        return (Double(result.quiet) / seconds, Double(result.others) / seconds)
    }
}

private final class Counter: Sendable {
    let done = Atomic(0)
}

private final class Notebook: Sendable {
    let counts = Mutex((quiet: 0, others: 0, enqueued: 0))
}
