/// A shard with a million waiting jobs: its memory, its speed and how soon it is back after a crash and after a stop.
struct Backlog {
    let place: Suite.Place
    let name: String
    let jobs: Int
    /// 1: the server runs without tenancy.
    let tenants: Int
    let reopenKey: Results.Key
    /// Jobs waiting in the server to compare with.
    private let fewJobs = 1000

    static func oneTenant(_ place: Suite.Place) -> Backlog {
        Backlog(
            place: place, name: "one tenant", jobs: place.isQuick ? 100_000 : 1_000_000, tenants: 1, reopenKey: .reopen_1_tenant_s
        )
    }

    static func manyTenants(_ place: Suite.Place) -> Backlog {
        let jobs = place.isQuick ? 100_000 : 1_000_000
        return Backlog(
            place: place, name: "\(jobs / 10) tenants", jobs: jobs, tenants: jobs / 10, reopenKey: .reopen_100k_tenants_s)
    }

    private var options: [String] { tenants > 1 ? ["--tenancy", "--shards", "1"] : [] }

    /// The tenant of a job by its index, `count` jobs in all: each tenant has as many as in the full case, and neighbours
    /// in time are of different tenants.
    private func tenant(of count: Int) -> @Sendable (Int) -> String? {
        guard tenants > 1 else { return { _ in nil } }
        let tenants = count * self.tenants / jobs
        return { "tenant-\($0 % tenants)" }
    }

    func measure(_ results: inout Results) async throws {
        say("\n\(jobs) waiting jobs, \(name)")
        let data = reopenKey.rawValue
        let full = try await place.start(data, options)
        let fullQueue = try await ServedQueue(full.address, channels: 2, payload: Payload(bytes: 200))
        try await Fill.run(fullQueue, jobs, on: full, tenant: tenant(of: jobs))
        let settled = try await Fill.settle(full)
        let memory = full.residentMiB
        say(
            "  \(Text.number(settled, 0)) s until it was quiet; memory \(Text.number(memory.now, 0)) MiB, at its highest "
                + "\(Text.number(memory.peak, 0)) MiB"
        )
        results.setWorse(.rss_1m_mib, memory.now, "\(name), after filling; \(Text.number(memory.peak, 0)) MiB at its highest")

        try await compareLeases(full, fullQueue, &results)
        say(
            "  memory after leasing \(Text.number(full.residentMiB.now, 0)) MiB, at its highest "
                + "\(Text.number(full.residentMiB.peak, 0)) MiB"
        )
        fullQueue.close()

        try await full.crash()
        let (afterCrash, second) = try await reopen(data)
        say(
            "  reopened after a crash: first lease in \(Text.number(afterCrash.lease, 2)) s, serving in "
                + "\(Text.number(afterCrash.serving, 2)) s"
        )
        try await second.stop()
        let (afterStop, third) = try await reopen(data)
        say(
            "  reopened after a stop: first lease in \(Text.number(afterStop.lease, 2)) s, serving in "
                + "\(Text.number(afterStop.serving, 2)) s"
        )
        try await third.stop()
        results.set(
            reopenKey, max(afterCrash.lease, afterStop.lease),
            "after a crash \(Text.number(afterCrash.lease, 2)) s, after a stop \(Text.number(afterStop.lease, 2)) s"
        )
    }

    /// The same loops on a server with many and on one with few waiting jobs, in turn.
    private func compareLeases(_ full: ServerProcess, _ fullQueue: ServedQueue, _ results: inout Results) async throws {
        let few = try await place.start("few-\(reopenKey.rawValue)", options)
        let fewQueue = try await ServedQueue(few.address, channels: 2, payload: Payload(bytes: 200))
        try await Fill.run(fewQueue, fewJobs, on: few, tenant: tenant(of: fewJobs))
        let (window, rounds) = place.isQuick ? (2.0, 2) : (4.0, 9)
        // These warm up.
        _ = try await rate(few, fewQueue, window)
        _ = try await rate(full, fullQueue, window)
        var turns = InTurns(try await rate(few, fewQueue, window).perSecond)
        for _ in 0..<rounds {
            let (fullRate, fullCost) = try await rate(full, fullQueue, window)
            let (fewRate, fewCost) = try await rate(few, fewQueue, window)
            turns.add(fullRate, then: fewRate)
            say("  leases a second: \(Text.number(fullRate, 0)) with \(jobs) waiting, \(fullCost); "
                + "\(Text.number(fewRate, 0)) with \(fewJobs), \(fewCost)")
        }
        fewQueue.close()
        try await few.stop()
        results.setWorse(.lease_rate_1m_share, turns.share, "\(name), the same loops with \(fewJobs): \(turns.note)")
    }

    private func rate(
        _ server: ServerProcess, _ queue: ServedQueue, _ seconds: Double
    ) async throws -> (perSecond: Double, cost: String) {
        let before = (server: server.processorSeconds, ours: ownProcessorSeconds)
        let (leased, passed) = try await LeaseLoops(queue: queue).run(seconds: seconds)
        let each = 1e6 / Double(max(1, leased))
        let cost = "\(Text.number((server.processorSeconds - before.server) * each, 0)) + "
            + "\(Text.number((ownProcessorSeconds - before.ours) * each, 0)) us of server and load"
        return (Double(leased) / passed, cost)
    }

    /// Starts the server on its data and leases one task.
    /// - Returns: seconds from the start of the program.
    private func reopen(_ data: String) async throws -> (times: (lease: Double, serving: Double), server: ServerProcess) {
        let server = try await place.start(data, options)
        let serving = Instant.now.seconds(since: server.begun)
        let queue = try await ServedQueue(server.address, payload: Payload(bytes: 200))
        let jobs = try await queue.lease(1, waitMilliseconds: 30_000)
        let lease = Instant.now.seconds(since: server.begun)
        queue.close()
        guard !jobs.isEmpty else { throw Failure("no task to lease after reopening") }
        return ((lease, serving), server)
    }
}

/// A few loops that lease 50 tasks, report them and enqueue as many for the same tenants: the backlog stays as it is.
struct LeaseLoops {
    let queue: ServedQueue
    private static let count = 4

    /// Tasks leased a second.
    func rate(seconds: Double) async throws -> Double {
        let (leased, passed) = try await run(seconds: seconds)
        return Double(leased) / passed
    }

    /// - Returns: tasks leased, and in how many seconds: until the last call was answered.
    func run(seconds: Double) async throws -> (leased: Int, seconds: Double) {
        let begun = Instant.now
        let end = begun.advanced(seconds: seconds)
        let leased = try await withThrowingTaskGroup { group in
            for _ in 0..<Self.count {
                group.addTask {
                    var count = 0
                    while Instant.now < end {
                        let jobs = try await queue.lease(50, waitMilliseconds: 1000)
                        guard !jobs.isEmpty else { throw Failure("nothing to lease in 1 s") }
                        count += jobs.count
                        async let enqueued: Void = queue.enqueue(jobs.map(\.tenant))
                        try await queue.report(jobs)
                        try await enqueued
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        return (leased, Instant.now.seconds(since: begun))
    }
}
