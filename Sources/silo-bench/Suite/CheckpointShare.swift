import SiloStore

/// Life cycles a second of a shard in this process while a checkpoint moves rows to sorted files beside it, over those just
/// before and after it: the same loops, on the same shard.
///
/// A checkpoint rests between its writes, so at full load more comes while it lasts than it moves. Each round begins with all of
/// that moved, without load, or each checkpoint would be longer than the one before, without end.
struct CheckpointShare {
    let place: Suite.Place

    /// Nothing is moved but when it is asked for.
    private static var budget: LogBudget { LogBudget(overlayBytes: 4 << 30, logBytes: 8 << 30) }
    private static let beforeSeconds = 0.5

    func measure(_ results: inout Results) async throws {
        let rounds = place.isQuick ? 5 : 20
        say("\na shard in this process while rows of the half second before are moved to sorted files: \(rounds) rounds")
        let store = try await place.folder.store("checkpoint-share", Self.budget)
        let shard = try await OpenShard(store, payload: Payload(bytes: 200))
        // It warms up.
        _ = try await round(shard, store)
        var last = try await round(shard, store)
        var (turns, lengths) = (InTurns(last.quiet), [Double]())
        for _ in 0..<rounds {
            let next = try await round(shard, store)
            turns.add(last.busy, then: next.quiet)
            lengths.append(last.seconds * 1000)
            last = next
        }
        try await shard.close()
        results.set(
            .log_checkpoint_share, turns.share, "while one lasts, \(Text.number(lengths.median, 0)) ms: \(turns.note)")
    }

    /// Rates before a checkpoint and while it lasts, and how long that is.
    private func round(_ shard: OpenShard, _ store: LoggedStore) async throws -> (quiet: Double, busy: Double, seconds: Double) {
        let cycles = LifeCycles(shard, EngineShare.plan)
        cycles.start()
        try await Task.sleep(for: .seconds(0.1))
        let quiet = try await rate(of: cycles) { try await Task.sleep(for: .seconds(Self.beforeSeconds)) }
        let busy = try await rate(of: cycles) { try await store.checkpoint() }
        await cycles.finish()
        try await store.checkpoint()
        return (quiet.rate, busy.rate, busy.seconds)
    }

    private func rate(
        of cycles: LifeCycles, while body: () async throws -> Void
    ) async throws -> (rate: Double, seconds: Double) {
        let (begun, before) = (Instant.now, cycles.counts)
        try await body()
        let after = cycles.counts
        if let failure = after.failure { throw Failure(failure) }
        let seconds = Instant.now.seconds(since: begun)
        return (Double(after.reported - before.reported) / seconds, seconds)
    }
}
