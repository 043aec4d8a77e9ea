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
        let rounds = place.isQuick ? 2 : 7
        say(
            "\nthe engine in this process against a bare loop over SlateDB with a log of its own: \(jobs) life cycles a round, "
                + "\(Self.plan.enqueuers)+\(Self.plan.workers) commands in flight, \(names) names"
        )
        let recording = RecordingStore(try await place.folder.store("recorded-\(names)"))
        _ = try await Self.seconds(of: jobs, names, over: recording)
        let batches = recording.takeBatches()
        let keys = batches.reduce(0) { $0 + $1.count }
        let bytes = batches.reduce(0) { $0 + $1.byteCount }
        say("  \(batches.count) batches: \(Text.number(Double(keys) / Double(jobs), 1)) keys and \(bytes / jobs) bytes a job")
        func bare(_ round: Int) async throws -> Double {
            Double(jobs) / (try await bareSeconds(batches, folder: "bare-\(names)-\(round)"))
        }
        var turns = InTurns(try await bare(0))
        for round in 1...rounds {
            let store = try await place.folder.store("engine-\(names)-\(round)")
            let rate = Double(jobs) / (try await Self.seconds(of: jobs, names, over: store))
            turns.add(rate, then: try await bare(round))
            say("  round \(round): engine \(Text.number(rate, 0))/s, bare \(Text.number(turns.around[round], 0))/s")
        }
        results.set(key, turns.share, "the engine \(turns.note)")
    }

    /// How long so many life cycles take until all is durable.
    static func seconds(
        of jobs: Int, _ names: OpenShard.Names = .ordered, over store: any KeyValueStore
    ) async throws -> Double {
        let shard = try await OpenShard(store, payload: Payload(bytes: 200), names: names)
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
        await cycles.stop()
        try await shard.close()
        return seconds
    }

    /// Writes batch after batch while one task flushes the log: as soon as something is written and the flush before has
    /// returned.
    private func bareSeconds(_ batches: [[Write]], folder: String) async throws -> Double {
        let store = try await place.folder.slateStore(folder)
        let (written, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let begun = Instant.now
        async let flushes: Void = {
            for await _ in written { try await store.flush() }
        }()
        for batch in batches {
            try await store.write(batch)
            signal.yield()
        }
        signal.finish()
        try await flushes
        let seconds = Instant.now.seconds(since: begun)
        try await store.close()
        return seconds
    }
}
