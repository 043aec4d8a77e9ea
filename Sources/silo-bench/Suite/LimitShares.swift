import SiloAPI

/// What a limit on every job costs: life cycles a second with it, over the same loops without, in turn on servers of their own.
struct LimitShares {
    let place: Suite.Place

    private struct Variant {
        let name: String
        let key: Results.Key
        var unfinishedMax = 256
        var workers = 64
        let limits: @Sendable (Int) -> [SiloV1.Limit]
    }

    func measure(_ results: inout Results) async throws {
        let variants = [
            Variant(name: "10,000 keys, none full", key: .limit_free_share) { [.slots("key-\($0 % 10_000)", 1000)] },
            Variant(name: "one key of 100 slots, 1,000 jobs for it", key: .limit_hot_share, unfinishedMax: 1000, workers: 128) {
                _ in
                [.slots("hot", 100)]
            },
            Variant(name: "a rate limit that is never hit", key: .rate_free_share) { _ in
                [.rate("free", 1_000_000_000, per: 1000)]
            },
        ]
        for variant in variants {
            say("\nlife cycles with limits: \(variant.name)")
            let plain = try await Side(place, "\(variant.key.rawValue)-plain", variant.workers, variant.unfinishedMax, nil)
            let limited = try await Side(place, variant.key.rawValue, variant.workers, variant.unfinishedMax, variant.limits)
            var plainRates: [Double] = []
            var limitedRates: [Double] = []
            // The first round warms up.
            for round in 0..<(place.isQuick ? 3 : 5) {
                let (with, without) = (try await limited.rate(place.window / 2), try await plain.rate(place.window / 2))
                say("  \(Text.number(with, 0))/s with, \(Text.number(without, 0))/s without\(round == 0 ? " (not counted)" : "")")
                guard round > 0 else { continue }
                limitedRates.append(with)
                plainRates.append(without)
            }
            try await plain.stop()
            try await limited.stop()
            results.set(
                variant.key, limitedRates.median / plainRates.median,
                "\(variant.name): \(Text.number(limitedRates.median, 0))/s against \(Text.number(plainRates.median, 0))/s"
            )
        }
    }

    /// One server with its loops.
    private struct Side {
        let server: ServerProcess
        let queue: ServedQueue
        let plan: LifeCycles.Plan

        init(
            _ place: Suite.Place, _ name: String, _ workers: Int, _ unfinishedMax: Int,
            _ limits: (@Sendable (Int) -> [SiloV1.Limit])?
        ) async throws {
            var plan = LifeCycles.Plan()
            plan.enqueuers = 64
            plan.workers = workers
            plan.unfinishedMax = unfinishedMax
            self.plan = plan
            server = try await place.start(name)
            queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200), limits: limits)
        }

        /// Jobs reported a second.
        func rate(_ seconds: Double) async throws -> Double {
            let cycles = LifeCycles(queue, plan)
            cycles.start()
            try await Task.sleep(for: .seconds(1))
            let before = (at: Instant.now, done: cycles.counts.reported)
            try await Task.sleep(for: .seconds(seconds))
            let done = cycles.counts.reported - before.done
            let passed = Instant.now.seconds(since: before.at)
            await cycles.stop()
            if let failure = cycles.counts.failure { throw Failure(failure) }
            return Double(done) / passed
        }

        func stop() async throws {
            queue.close()
            try await server.stop()
        }
    }
}

extension SiloV1.Limit {
    static func slots(_ key: String, _ max: UInt32) -> SiloV1.Limit {
        var slots = SiloV1.ConcurrencyLimit()
        slots.key = key
        slots.maxConcurrency = max
        var limit = SiloV1.Limit()
        limit.limit = .concurrency(slots)
        return limit
    }

    static func rate(_ name: String, _ count: Int64, per milliseconds: Int64) -> SiloV1.Limit {
        var rate = SiloV1.GubernatorRateLimit()
        rate.name = name
        rate.uniqueKey = "all"
        rate.limit = count
        rate.durationMs = milliseconds
        rate.hits = 1
        var limit = SiloV1.Limit()
        limit.limit = .rateLimit(rate)
        return limit
    }
}
