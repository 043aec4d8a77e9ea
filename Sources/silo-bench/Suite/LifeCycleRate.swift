/// How many whole life cycles a second a server does over gRPC.
struct LifeCycleRate {
    let key: Results.Key
    let what: String
    let plan: LifeCycles.Plan
    let channels: Int

    /// One job in every call.
    static var unary: LifeCycleRate {
        var plan = LifeCycles.Plan()
        plan.enqueuers = 64
        plan.workers = 64
        plan.unfinishedMax = 256
        return LifeCycleRate(key: .unary_per_s, what: "one job a call", plan: plan, channels: 2)
    }

    /// A hundred jobs in every call.
    static var batch: LifeCycleRate {
        var plan = LifeCycles.Plan()
        plan.enqueuers = 4
        plan.workers = 4
        plan.batch = 100
        plan.leaseMax = 100
        plan.unfinishedMax = 2000
        return LifeCycleRate(key: .batch_per_s, what: "100 jobs a call", plan: plan, channels: 2)
    }

    func measure(in place: Suite.Place, _ results: inout Results) async throws {
        say(
            "\nlife cycles over gRPC, \(what): \(plan.enqueuers) enqueue and \(plan.workers) worker loops, \(channels) "
                + "connections"
        )
        let server = try await place.start(key.rawValue)
        let queue = try await ServedQueue(server.address, channels: channels, payload: Payload(bytes: 200))
        let cycles = LifeCycles(queue, plan)
        cycles.start()
        try await Task.sleep(for: .seconds(place.isQuick ? 1 : 3))
        let processorBefore = (server: server.processorSeconds, ours: ownProcessorSeconds)
        let before = (at: Instant.now, counts: cycles.counts)
        cycles.record()
        for second in 1...Int(place.window) {
            await before.at.advanced(seconds: Double(second)).arrive()
            let counts = cycles.counts
            say("  \(second) s: \(counts.reported - before.counts.reported) done, \(counts.enqueued - counts.reported) under way")
        }
        let after = (at: Instant.now, counts: cycles.counts)
        let processor = (
            server: server.processorSeconds - processorBefore.server, ours: ownProcessorSeconds - processorBefore.ours
        )
        let latencies = cycles.stopRecording()
        await cycles.stop()
        queue.close()
        try await server.stop()

        let passed = after.at.seconds(since: before.at)
        let done = after.counts.reported - before.counts.reported
        let polls = (after.counts.polls?.all ?? 0) - (before.counts.polls?.all ?? 0)
        let perLease = Double(after.counts.leased - before.counts.leased) / Double(max(1, polls))
        if let failure = after.counts.failure { throw Failure("\(after.counts.failures) calls failed: \(failure)") }
        for (name, samples) in [
            ("enqueue", latencies.enqueue), ("lease", latencies.lease), ("report", latencies.report),
            ("life", latencies.lifeCycle),
        ] {
            let summary = samples.summary
            say(
                "  \(Text.left(name, 8)) ms p50 \(Text.number(summary.p50, 2))  p95 \(Text.number(summary.p95, 2))  p99 "
                    + "\(Text.number(summary.p99, 2))"
            )
        }
        results.set(
            key, Double(done) / passed,
            "\(plan.enqueuers)+\(plan.workers) loops, \(Text.number(perLease, 1)) tasks a lease; processor time a job: "
                + "server \(Text.number(processor.server / Double(max(1, done)) * 1e6, 0)) us, "
                + "load \(Text.number(processor.ours / Double(max(1, done)) * 1e6, 0)) us"
        )
    }
}
