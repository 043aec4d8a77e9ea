import SiloCore
import SiloEngine
import SiloStore
import SlateDB

/// How long an enqueue takes to be acknowledged at light load, against a bare synced write of the same rows.
struct Acknowledgement {
    let place: Suite.Place
    private static let perSecond = 100

    func measure(_ results: inout Results) async throws {
        let seconds = place.isQuick ? 5 : 30
        say("\nacknowledgement of an enqueue: one at a time, \(Self.perSecond) a second for \(seconds) s, bare writes in between")
        let rows = try await rowsOfOneEnqueue()
        let server = try await place.start("ack")
        let queue = try await ServedQueue(server.address, payload: Payload(bytes: 200))
        let store = try await place.folder.store("bare-ack")
        var enqueues = Samples()
        var bare = Samples()
        for _ in 0..<20 {
            try await queue.enqueue([nil])
            try await write(rows, to: store)
        }
        var tick = Instant.now
        for index in 0..<seconds * Self.perSecond {
            // A little off the beat, so that nothing falls into step with it.
            tick = max(tick.advanced(seconds: 1 / Double(Self.perSecond)), .now)
            await tick.advanced(seconds: Double(index % 10) / 10_000).arrive()
            var begun = Instant.now
            try await queue.enqueue([nil], sent: begun)
            enqueues.add(Instant.now.milliseconds(since: begun))

            await tick.advanced(seconds: 0.5 / Double(Self.perSecond)).arrive()
            begun = Instant.now
            try await write(rows, to: store)
            bare.add(Instant.now.milliseconds(since: begun))
        }
        queue.close()
        try await server.stop()
        let durability = store.durability?.rawValue ?? "none"
        try await store.close()

        let ours = enqueues.summary
        let theirs = bare.summary
        say(
            "  enqueue ms p50 \(Text.number(ours.p50, 2))  p95 \(Text.number(ours.p95, 2))  p99 \(Text.number(ours.p99, 2))  "
                + "max \(Text.number(ours.max, 1))"
        )
        say(
            "  bare    ms p50 \(Text.number(theirs.p50, 2))  p95 \(Text.number(theirs.p95, 2))  p99 "
                + "\(Text.number(theirs.p99, 2))  max \(Text.number(theirs.max, 1))"
        )
        results.set(
            .ack_p50_ms, ours.p50,
            "\(ours.count) calls at \(Self.perSecond)/s, \(Text.number(ours.p50 / theirs.p50, 2)) x the bare write")
        results.set(
            .ack_p99_ms, ours.p99,
            "\(Text.number(ours.p99 / theirs.p99, 2)) x the bare write, whose p99 is \(Text.number(theirs.p99, 2)) ms")
        results.set(
            .bare_flush_p50_ms, theirs.p50, "\(rows.count) rows, \(rows.byteCount) bytes, then a log flush (\(durability))")
    }

    private func write(_ rows: [Write], to store: any KeyValueStore) async throws {
        try await store.write(rows)
        try await store.flush()
    }

    /// What the engine writes for one job.
    private func rowsOfOneEnqueue() async throws -> [Write] {
        let store = RecordingStore(MemoryStore())
        let shard = try await OpenShard(store, payload: Payload(bytes: 200))
        try await shard.enqueue([nil])
        _ = store.takeBatches()
        try await shard.enqueue([nil])
        let rows = store.takeBatches().flatMap { $0 }
        try await shard.close()
        return rows
    }
}
