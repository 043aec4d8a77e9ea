/// What the server's defaults cost: one started with no options beside one that is told to have one shard, and the same with
/// tenants, which by default are spread over several shards. Each pair is measured in turns, several times.
struct Defaults {
    let place: Suite.Place
    private static let one = ["--shards", "1"]
    private static let tenantCount = 32

    private var rounds: Int { place.isQuick ? 2 : 9 }

    func measure(_ results: inout Results) async throws {
        say("\nthe server's defaults beside one shard, one job a call, in turns")
        let plain = try await share([], .none, "default")
        results.set(.default_share, plain.share, plain.note)
        let tenants = Tenants(prefix: "tenant", count: Self.tenantCount, imbalance: 1)
        let tenancy = try await share(["--tenancy"], tenants, "tenancy")
        results.set(.default_tenancy_share, tenancy.share, tenancy.note)
    }

    /// The rate with defaults as a share of that with one shard, both servers running all the while.
    private func share(_ options: [String], _ tenants: Tenants, _ name: String) async throws -> (share: Double, note: String) {
        let (server, queue) = try await start(options, name)
        let (single, singleQueue) = try await start(options + Self.one, "\(name)-one")
        for queue in [queue, singleQueue] { _ = try await rate(queue, tenants) }
        var turns = InTurns(try await rate(singleQueue, tenants))
        for round in 1...rounds {
            turns.add(try await rate(queue, tenants), then: try await rate(singleQueue, tenants))
            let shown = [turns.measured[round - 1], turns.around[round]].map { Text.number($0, 0) }
            say("  \(name) \(round): \(shown[0]) a second, with one shard \(shown[1])")
        }
        for queue in [queue, singleQueue] { queue.close() }
        for server in [server, single] { try await server.stop() }
        let what = (["silo"] + options).joined(separator: " ")
        return (turns.share, "\(what), over --shards 1: \(turns.note)")
    }

    private func start(_ options: [String], _ name: String) async throws -> (ServerProcess, ServedQueue) {
        let server = try await place.start(name, options)
        return (server, try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200)))
    }

    /// Life cycles a second, from the second second of the load on.
    private func rate(_ queue: ServedQueue, _ tenants: Tenants) async throws -> Double {
        var plan = LifeCycleRate.unary.plan
        plan.tenants = tenants
        let cycles = LifeCycles(queue, plan)
        cycles.start()
        try await Task.sleep(for: .seconds(1))
        let before = (at: Instant.now, done: cycles.counts.reported)
        await before.at.advanced(seconds: 3).arrive()
        let after = (at: Instant.now, counts: cycles.counts)
        await cycles.finish()
        if let failure = after.counts.failure { throw Failure("\(after.counts.failures) calls failed: \(failure)") }
        return Double(after.counts.reported - before.done) / after.at.seconds(since: before.at)
    }
}
