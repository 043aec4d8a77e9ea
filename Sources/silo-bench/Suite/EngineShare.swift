import SiloStore

/// Life cycles a second of a shard in this process over the log that a server has on local disk, against a bare loop that writes
/// the very same batches to SlateDB with a log of its own.
struct EngineShare {
    let place: Suite.Place

    static var plan: LifeCycles.Plan {
        var plan = LifeCycles.Plan()
        plan.enqueuers = 512
        plan.workers = 512
        plan.unfinishedMax = 4096
        return plan
    }

    func measure(_ results: inout Results) async throws {
        try await measure(.ordered, .inprocess_share, &results)
        try await measure(.random, .inprocess_random_share, &results)
    }

    private func measure(_ names: OpenShard.Names, _ key: Results.Key, _ results: inout Results) async throws {
        let jobs = place.isQuick ? 20_000 : 100_000
        let rounds = place.isQuick ? 2 : 3
        say(
            "\nthe engine in this process against a bare loop over SlateDB with a log of its own: \(jobs) life cycles a round, "
                + "\(Self.plan.enqueuers)+\(Self.plan.workers) commands in flight, \(names) names"
        )
        var engineRates: [Double] = []
        var bareRates: [Double] = []
        var shares: [Double] = []
        var cost = ""
        for round in 1...rounds {
            let (batches, engineFlushes, engineSeconds) = try await runEngine(jobs, names, folder: "engine-\(names)-\(round)")
            let (bareFlushes, bareSeconds) = try await runBare(batches, folder: "bare-\(names)-\(round)")
            engineRates.append(Double(jobs) / engineSeconds)
            bareRates.append(Double(jobs) / bareSeconds)
            shares.append(bareSeconds / engineSeconds)
            let keys = batches.reduce(0) { $0 + $1.count }
            let bytes = batches.reduce(0) { $0 + $1.byteCount }
            cost = "\(Text.number(Double(keys) / Double(jobs), 1)) keys and \(bytes / jobs) bytes a job"
            say("  round \(round): engine \(Text.number(Double(jobs) / engineSeconds, 0))/s with \(engineFlushes) flushes, "
                + "bare \(Text.number(Double(jobs) / bareSeconds, 0))/s with \(bareFlushes); \(batches.count) batches, \(cost)")
        }
        results.set(
            key, shares.median,
            "engine \(Text.number(engineRates.median, 0))/s, bare \(Text.number(bareRates.median, 0))/s, \(cost)"
        )
    }

    /// What a run wrote, and how long it took until all was durable.
    typealias Run = (batches: [[Write]], flushes: Int, seconds: Double)

    private func runEngine(_ jobs: Int, _ names: OpenShard.Names, folder: String) async throws -> Run {
        try await Self.run(jobs, names, over: RecordingStore(try await place.folder.store(folder)))
    }

    static func run(
        _ jobs: Int, _ names: OpenShard.Names = .ordered, over store: RecordingStore
    ) async throws -> Run {
        let shard = try await OpenShard(store, payload: Payload(bytes: 200), names: names)
        _ = store.takeRecord()
        var plan = plan
        plan.jobsMax = jobs
        let cycles = LifeCycles(shard, plan)
        let begun = Instant.now
        cycles.start()
        while cycles.counts.reported < jobs {
            if let failure = cycles.counts.failure { throw Failure(failure) }
            try await Task.sleep(for: .milliseconds(5))
        }
        let seconds = cycles.lastReport.seconds(since: begun)
        let record = store.takeRecord()
        await cycles.stop()
        try await shard.close()
        return (record.batches, record.flushes, seconds)
    }

    /// Writes batch after batch while one task flushes the log: as soon as something is written and the flush before has
    /// returned.
    private func runBare(_ batches: [[Write]], folder: String) async throws -> (flushes: Int, seconds: Double) {
        let store = try await place.folder.slateStore(folder)
        let (written, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let begun = Instant.now
        async let flushes: Int = {
            var count = 0
            for await _ in written {
                try await store.flush()
                count += 1
            }
            return count
        }()
        for batch in batches {
            try await store.write(batch)
            signal.yield()
        }
        signal.finish()
        let count = try await flushes
        let seconds = Instant.now.seconds(since: begun)
        try await store.close()
        return (count, seconds)
    }
}
