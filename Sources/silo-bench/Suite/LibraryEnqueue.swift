import SiloClient

/// What an application gets that enqueues one job at a time through the library: with many tasks at once, and from one alone.
/// Beside each stand bare calls of one job over the same wire.
struct LibraryEnqueue {
    let place: Suite.Place
    private static let callers = 64

    func measure(_ results: inout Results) async throws {
        say("\nenqueues of one job through the library, beside bare calls")
        let server = try await place.start("library")
        let queue = try await ServedQueue(server.address, payload: Payload(bytes: 200))
        let client = Client(server.address)
        let job = NewJob(OpenShard.group, payload: SiloClient.Payload(bytes: Payload(bytes: 200).bytes(sent: .now)))
        let viaLibrary: @Sendable () async throws -> Void = { try await client.enqueue(job) }
        let bare: @Sendable () async throws -> Void = { try await queue.enqueue([nil]) }
        for _ in 0..<50 {
            try await viaLibrary()
            try await bare()
        }

        let lone = try await lone(viaLibrary, bare)
        let bareRate = try await rate(of: bare, on: server)
        let libraryRate = try await rate(of: viaLibrary, on: server)
        client.close()
        queue.close()
        try await server.stop()

        results.set(
            .library_per_s, libraryRate.perSecond,
            "\(Self.callers) callers: \(libraryRate.note); bare calls: \(bareRate.note)"
        )
        results.set(
            .library_lone_p50_ms, lone.library.p50,
            "p99 \(Text.number(lone.library.p99, 2)); bare calls in turns with them: p50 \(Text.number(lone.bare.p50, 3)), "
                + "p99 \(Text.number(lone.bare.p99, 2))"
        )
    }

    /// One caller, the two ways in turns.
    private func lone(
        _ viaLibrary: () async throws -> Void, _ bare: () async throws -> Void
    ) async throws -> (library: Samples.Summary, bare: Samples.Summary) {
        var samples = (library: Samples(), bare: Samples())
        for _ in 0..<(place.isQuick ? 500 : 3000) {
            var begun = Instant.now
            try await viaLibrary()
            samples.library.add(Instant.now.milliseconds(since: begun))
            begun = .now
            try await bare()
            samples.bare.add(Instant.now.milliseconds(since: begun))
        }
        return (samples.library.summary, samples.bare.summary)
    }

    private func rate(
        of enqueue: @escaping @Sendable () async throws -> Void, on server: ServerProcess
    ) async throws -> (perSecond: Double, note: String) {
        let processorBefore = (server: server.processorSeconds, ours: ownProcessorSeconds)
        let begun = Instant.now
        let end = begun.advanced(seconds: place.window)
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<Self.callers {
                group.addTask {
                    var count = 0
                    while Instant.now < end {
                        try await enqueue()
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        let perSecond = Double(count) / Instant.now.seconds(since: begun)
        let each = 1e6 / Double(max(1, count))
        let note = "\(Text.number(perSecond, 0))/s, processor time a job: server "
            + "\(Text.number((server.processorSeconds - processorBefore.server) * each, 0)) us, "
            + "caller \(Text.number((ownProcessorSeconds - processorBefore.ours) * each, 0)) us"
        return (perSecond, note)
    }
}
