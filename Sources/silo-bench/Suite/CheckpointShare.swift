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
        var turns: InTurns?
        var (busy, lengths): (Double, [Double]) = (0, [])
        // The first one warms up, and the last stands after the one before it.
        for round in 0...rounds + 1 {
            let cycles = LifeCycles(shard, EngineShare.plan)
            cycles.start()
            let quiet = try await rate(of: cycles) { try await Task.sleep(for: .seconds(Self.beforeSeconds)) }.rate
            if round > 1 { turns?.add(busy, then: quiet) } else { turns = InTurns(quiet) }
            let moving = try await rate(of: cycles) { try await store.checkpoint() }
            await cycles.finish()
            try await store.checkpoint()
            (busy, lengths) = (moving.rate, lengths + [moving.seconds * 1000])
        }
        try await shard.close()
        guard let turns else { return }
        results.set(
            .log_checkpoint_share, turns.share, "while one lasts, \(Text.number(lengths.median, 0)) ms: \(turns.note)")
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
