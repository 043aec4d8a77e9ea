/// What the server's defaults cost: one started with no options beside one that is told to have one shard, and the same with
/// tenants, which by default are spread over several shards. Each pair is measured in turns, several times.
struct Defaults {
    let place: Suite.Place
    private static let one = ["--shards", "1"]
    private static let tenantCount = 32

    private var rounds: Int { place.isQuick ? 1 : 3 }

    func measure(_ results: inout Results) async throws {
        say("\nthe server's defaults beside one shard, one job a call, in turns")
        let plain = try await share([], .none, "default")
        results.set(.default_share, plain.share, plain.note)
        let tenants = Tenants(prefix: "tenant", count: Self.tenantCount, imbalance: 1)
        let tenancy = try await share(["--tenancy"], tenants, "tenancy")
        results.set(.default_tenancy_share, tenancy.share, tenancy.note)
    }

    /// The median of the rates with defaults as a share of the median with one shard.
    private func share(_ options: [String], _ tenants: Tenants, _ name: String) async throws -> (share: Double, note: String) {
        var defaults: [Double] = []
        var single: [Double] = []
        for round in 1...rounds {
            defaults.append(try await rate(options, tenants, "\(name)-\(round)"))
            single.append(try await rate(options + Self.one, tenants, "\(name)-one-\(round)"))
            say(
                "  \(name) \(round): \(Text.number(defaults[round - 1], 0)) a second, with one shard "
                    + "\(Text.number(single[round - 1], 0))"
            )
        }
        let (left, right) = (defaults.sorted()[rounds / 2], single.sorted()[rounds / 2])
        let what = (["silo"] + options).joined(separator: " ")
        return (left / right, "\(what): \(Text.number(left, 0)) life cycles/s; with --shards 1: \(Text.number(right, 0))")
    }

    private func rate(_ options: [String], _ tenants: Tenants, _ name: String) async throws -> Double {
        var plan = LifeCycleRate.unary.plan
        plan.tenants = tenants
        let server = try await place.start(name, options)
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let cycles = LifeCycles(queue, plan)
        cycles.start()
        try await Task.sleep(for: .seconds(place.isQuick ? 1 : 3))
        let before = (at: Instant.now, done: cycles.counts.reported)
        await before.at.advanced(seconds: place.window).arrive()
        let after = (at: Instant.now, counts: cycles.counts)
        await cycles.stop()
        queue.close()
        try await server.stop()
        if let failure = after.counts.failure { throw Failure("\(after.counts.failures) calls failed: \(failure)") }
        return Double(after.counts.reported - before.done) / after.at.seconds(since: before.at)
    }
}
