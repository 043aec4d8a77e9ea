import SiloAPI
import SiloCore

/// What dropping a tenant with a million jobs costs the other tenants: leases a second, and life cycles of one job a call, on a
/// server that deletes them, over the same on one that keeps as many, in turn. And how many rows go in a second beside that work.
struct DropShare {
    let place: Suite.Place
    private var jobs: Int { place.isQuick ? 200_000 : 1_000_000 }
    private var window: Double { place.isQuick ? 2 : 5 }

    private static let waiting = 2000
    private static let dropped = "dropped"
    private static let other = "other"

    func measure(_ results: inout Results) async throws {
        say("\ndropping a tenant with \(jobs) jobs beside work of another")
        for name in ["dropped", "kept"] { try await fill(name) }
        var shares: (lease: [Double], unary: [Double]) = ([], [])
        var rows: [Double] = []
        // The first round warms up.
        for round in 0..<(place.isQuick ? 3 : 4) {
            let with = try await rates("dropped", drops: true)
            let without = try await rates("kept", drops: false)
            say("  leases a second: \(Text.number(with.lease, 0)) beside \(Text.number(with.rows, 0)) rows deleted a second, "
                + "\(Text.number(without.lease, 0)) without; life cycles: \(Text.number(with.unary, 0)), "
                + "\(Text.number(without.unary, 0)) without" + (round == 0 ? " (not counted)" : ""))
            guard round > 0 else { continue }
            shares.lease.append(with.lease / without.lease)
            shares.unary.append(with.unary / without.unary)
            rows.append(with.rows)
        }
        let note = "\(jobs) jobs, medians of \(rows.count) rounds in turn"
        results.set(.drop_lease_share, shares.lease.median, note)
        results.set(.drop_unary_share, shares.unary.median, note)
        results.set(.drop_busy_rows_per_s, rows.median, "deleted beside that work")
    }

    private func start(_ name: String) async throws -> ServerProcess {
        try await place.start("drop-\(name)", ["--tenancy", "--shards", "1"])
    }

    /// A server's data with ready jobs of the tenant to be dropped, and a few of the one that works.
    private func fill(_ name: String) async throws {
        let server = try await start(name)
        let connection = Connection(server.address, channels: 2)
        try await Fill.store(jobs, over: connection) { number in
            var job = SiloV1.EnqueueRequest()
            job.tenant = Self.dropped
            job.taskGroup = "of the dropped"
            job.payload = SiloV1.SerializedBytes(msgpack: [UInt8](repeating: 0xc0, count: 200))
            return job
        }
        let queue = try await ServedQueue(server.address, payload: Payload(bytes: 200))
        try await Fill.run(queue, Self.waiting, on: server) { _ in Self.other }
        queue.close()
        connection.close()
        _ = try await Fill.settle(server)
        try await server.stop()
    }

    /// Leases and life cycles a second of the tenant that works, and rows that were deleted a second meanwhile.
    private func rates(_ name: String, drops: Bool) async throws -> (lease: Double, unary: Double, rows: Double) {
        let server = try await start(name)
        let connection = Connection(server.address)
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        var request = SiloV1.DropTenantRequest()
        request.shard = try await connection.onlyShard()
        request.tenant = Self.dropped
        if drops { _ = try await connection.call(SiloV1.Silo.dropTenant, request) }
        // What it begins with is not measured.
        _ = try await LeaseLoops(queue: queue).rate(seconds: 2)
        let (begun, before) = (Instant.now, try await deleted(connection, request))
        let lease = try await LeaseLoops(queue: queue).rate(seconds: window)
        let unary = try await lifeCycles(queue)
        let after = try await deleted(connection, request)
        let passed = Instant.now.seconds(since: begun)
        queue.close()
        connection.close()
        try await server.stop()
        guard drops else { return (lease, unary, 0) }
        guard let before, let after else { throw Failure("all was deleted before the end of a round") }
        return (lease, unary, Double(after - before) / passed)
    }

    private func lifeCycles(_ queue: ServedQueue) async throws -> Double {
        var plan = LifeCycleRate.unary.plan
        plan.tenants = .some(names: [Self.other], cumulativeShares: [1])
        let cycles = LifeCycles(queue, plan)
        cycles.start()
        try await Task.sleep(for: .seconds(1))
        let before = (at: Instant.now, reported: cycles.counts.reported)
        try await Task.sleep(for: .seconds(window))
        let rate = Double(cycles.counts.reported - before.reported) / Instant.now.seconds(since: before.at)
        await cycles.stop()
        if let failure = cycles.counts.failure { throw Failure("calls failed: \(failure)") }
        return rate
    }

    /// Rows of the tenant that are gone; nil: it is not being dropped.
    private func deleted(_ connection: Connection, _ drop: SiloV1.DropTenantRequest) async throws -> UInt64? {
        var request = SiloV1.GetTenantDropRequest()
        request.shard = drop.shard
        request.tenant = drop.tenant
        return try await connection.call(SiloV1.Silo.getTenantDrop, request).drop?.rowsDeleted
    }
}
