import SiloAPI
import SiloCore

/// What the sweep of finished jobs costs those who work: leases a second on a server that erases a million finished jobs, over
/// the same on one that keeps as many, in turn. And how many go in a second, beside that work and alone.
struct RetentionShare {
    let place: Suite.Place
    private var jobs: Int { place.isQuick ? 100_000 : 1_000_000 }
    private var window: Double { place.isQuick ? 3 : 5 }

    private static let batch = 1000
    private static let loops = 4
    private static let waiting = 2000
    /// Old enough to go at once.
    private static let age: Int64 = 7_200_000
    private static let sweeping = ["--completed-job-expire-secs", "3600"]

    func measure(_ results: inout Results) async throws {
        say("\nsweeping \(jobs) finished jobs beside work")
        for name in ["swept", "kept"] { try await fill(name) }
        var shares: [Double] = []
        var swept: [Double] = []
        // The first round warms up.
        for round in 0..<(place.isQuick ? 3 : 8) {
            let with = try await leases("swept", Self.sweeping)
            let without = try await leases("kept", [])
            guard with.left > 0 else { throw Failure("all were swept before the end of round \(round)") }
            say("  leases a second: \(Text.number(with.rate, 0)) beside \(Text.number(with.swept, 0)) swept a second, "
                + "\(Text.number(without.rate, 0)) without" + (round == 0 ? " (not counted)" : ""))
            guard round > 0 else { continue }
            shares.append(with.rate / without.rate)
            swept.append(with.swept)
        }
        results.set(.retention_lease_share, shares.median, "\(jobs) finished jobs, medians of \(shares.count) rounds in turn")
        results.set(.retention_busy_per_s, swept.median, "beside that work")
        results.set(.retention_idle_per_s, try await idleRate(), "on a server that has nothing else to do")
    }

    /// A server's data with finished jobs and a few that wait.
    private func fill(_ name: String) async throws {
        let server = try await place.start("retention-\(name)")
        let connection = Connection(server.address, channels: 2)
        let shard = try await connection.onlyShard()
        let begun = Instant.now
        let total = jobs
        try await withThrowingTaskGroup { group in
            for loop in 0..<Self.loops {
                group.addTask {
                    for first in stride(from: loop * Self.batch, to: total, by: Self.loops * Self.batch) {
                        var request = SiloV1.ImportJobsRequest()
                        request.jobs = (first..<first + Self.batch).map { Self.finished($0, in: shard) }
                        let response = try await connection.call(SiloV1.Silo.importJobs, request)
                        let refused = response.results.first { !$0.success }
                        if let refused { throw Failure("an import was refused: \(refused.error ?? "")") }
                    }
                }
            }
            try await group.waitForAll()
        }
        say("  \(jobs) imported in \(Text.number(Instant.now.seconds(since: begun), 0)) s")
        let queue = try await ServedQueue(server.address, payload: Payload(bytes: 200))
        try await Fill.run(queue, Self.waiting, on: server) { _ in nil }
        queue.close()
        connection.close()
        _ = try await Fill.settle(server)
        try await server.stop()
    }

    private static func finished(_ number: Int, in shard: String) -> SiloV1.ImportJobRequest {
        var job = SiloV1.ImportJobRequest()
        job.shard = shard
        // As ids are that the server makes: not in order.
        job.id = "\(UInt64(number) &* 0x9e37_79b9_7f4a_7c15)"
        job.priority = 50
        job.taskGroup = "finished"
        job.payload = SiloV1.SerializedBytes(msgpack: [UInt8](repeating: 0xc0, count: 200))
        var attempt = SiloV1.ImportAttempt()
        attempt.status = .succeeded
        // Over an hour, oldest first.
        attempt.startedAtMs = SystemClock().now.milliseconds - age - 3_600_000 + Int64(number % 1_000_000) * 36 / 10
        attempt.finishedAtMs = attempt.startedAtMs
        job.attempts = [attempt]
        return job
    }

    /// Leases a second, and finished jobs that went in a second and are left.
    private func leases(_ name: String, _ options: [String]) async throws -> (rate: Double, swept: Double, left: Int) {
        let server = try await place.start("retention-\(name)", options)
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let connection = Connection(server.address)
        // What it begins with is not measured.
        _ = try await LeaseLoops(queue: queue).rate(seconds: 2)
        let (begun, before) = (Instant.now, try await total(connection))
        let rate = try await LeaseLoops(queue: queue).rate(seconds: window)
        let after = try await total(connection)
        let done = Int(rate * window)
        let swept = Double(before + done - after) / Instant.now.seconds(since: begun)
        queue.close()
        connection.close()
        try await server.stop()
        return (rate, max(0, swept), after - Self.waiting)
    }

    private func idleRate() async throws -> Double {
        let server = try await place.start("retention-swept", Self.sweeping)
        let connection = Connection(server.address)
        let (begun, before) = (Instant.now, try await total(connection))
        var last = (total: before, at: begun)
        // Those of the loops have not been finished for long, and stay.
        while Instant.now.seconds(since: begun) < 120, last.total == before || Instant.now.seconds(since: last.at) < 5 {
            try await Task.sleep(for: .milliseconds(200))
            let now = try await total(connection)
            if now < last.total { last = (now, Instant.now) }
        }
        let rate = Double(before - last.total) / max(0.001, last.at.seconds(since: begun))
        connection.close()
        try await server.stop()
        return rate
    }

    private func total(_ connection: Connection) async throws -> Int {
        let info = try await connection.call(SiloV1.Silo.getNodeInfo, .init())
        return info.ownedShards.reduce(0) { $0 + Int($1.totalJobs) }
    }
}
