import SiloAPI
import SiloCore

/// What a bulk action on a million jobs costs those who work: life cycles of one job a call, a second, on a server that cancels a
/// million jobs meanwhile, over the same while it does not, in turn. And how many jobs each kind of action does in a second,
/// beside that work and alone.
struct BulkShare {
    let place: Suite.Place
    private var jobs: Int { place.isQuick ? 100_000 : 1_000_000 }
    private var window: Double { place.isQuick ? 3 : 6 }
    private var rounds: Int { place.isQuick ? 3 : 11 }

    private static let group = "targets"
    private static let condition = "task_group = '\(group)'"
    /// Of what earlier rounds have not cancelled.
    private static let conditionOfRounds = "\(condition) AND status_kind = 'Scheduled'"
    private static let hour: Int64 = 3_600_000

    func measure(_ results: inout Results) async throws {
        say("\nbulk actions on \(jobs) jobs, beside work and alone")
        let server = try await place.start("bulk")
        let connection = Connection(server.address)
        try await fill(connection)
        _ = try await Fill.settle(server)
        try await shares(server, connection, &results)
        let kinds: [(Results.Key, SiloV1.BulkActionKind, String)] = [
            (.bulk_cancel_per_s, .cancel, "cancel"), (.bulk_restart_per_s, .restart, "restart"),
            (.bulk_expedite_per_s, .expedite, "expedite"), (.bulk_cancel_again_per_s, .cancel, "cancel"),
            (.bulk_delete_per_s, .delete, "delete"),
        ]
        for (key, kind, name) in kinds {
            let (rate, action) = try await alone(kind, connection)
            say("  \(name): \(action.done) done, \(action.refused) refused, \(Text.number(rate, 0)) looked at a second")
            results.set(key, rate, "jobs looked at a second on a server that has nothing else to do")
        }
        connection.close()
        try await server.stop()
    }

    /// Jobs that wait for a later time.
    private func fill(_ connection: Connection) async throws {
        let (begun, start) = (Instant.now, SystemClock().now.milliseconds + 10 * Self.hour)
        try await Fill.store(jobs, over: connection) { Self.job($0, start) }
        say("  \(jobs) stored in \(Text.number(Instant.now.seconds(since: begun), 0)) s")
    }

    private static func job(_ number: Int, _ start: Int64) -> SiloV1.EnqueueRequest {
        var job = SiloV1.EnqueueRequest()
        // Not in their order, and before those that the server makes: an action looks at jobs in the order of their ids.
        job.id = "00-\(UInt64(number) &* 0x9e37_79b9_7f4a_7c15)"
        job.taskGroup = group
        job.startAtMs = start
        job.payload = SiloV1.SerializedBytes(msgpack: [UInt8](repeating: 0xc0, count: 200))
        return job
    }

    private func shares(_ server: ServerProcess, _ connection: Connection, _ results: inout Results) async throws {
        let queue = try await ServedQueue(server.address, channels: 2, payload: Payload(bytes: 200))
        let cycles = LifeCycles(queue, LifeCycleRate.unary.plan)
        cycles.start()
        try await Task.sleep(for: .seconds(8))
        var turns = InTurns(try await rate(cycles))
        var done: [Double] = []
        for _ in 0..<rounds {
            let action = try await begin(.cancel, Self.conditionOfRounds, connection)
            let with = try await rate(cycles)
            let stopped = try await stop(action.id, connection)
            guard stopped.state == .stopped else { throw Failure("the action ended before its round") }
            turns.add(with, then: try await rate(cycles))
            let changed = Double(stopped.done) / (Double(stopped.endedAtMs - stopped.startedAtMs) / 1000)
            say(
                "  life cycles a second: \(Text.number(with, 0)) beside \(Text.number(changed, 0)) cancelled a second, "
                    + turns.around.suffix(2).map { Text.number($0, 0) }.joined(separator: " and ")
                    + " before and after it")
            done.append(changed)
        }
        await cycles.stop()
        queue.close()
        if let failure = cycles.counts.failure { throw Failure("calls failed: \(failure)") }
        results.set(.bulk_unary_share, turns.share, "\(jobs) jobs: \(turns.note)")
        results.set(.bulk_busy_per_s, done.median, "cancelled a second beside that work")
    }

    private func rate(_ cycles: LifeCycles) async throws -> Double {
        let before = (at: Instant.now, reported: cycles.counts.reported)
        try await Task.sleep(for: .seconds(window))
        return Double(cycles.counts.reported - before.reported) / Instant.now.seconds(since: before.at)
    }

    private func alone(
        _ kind: SiloV1.BulkActionKind, _ connection: Connection
    ) async throws -> (rate: Double, SiloV1.BulkAction) {
        var action = try await begin(kind, Self.condition, connection)
        while action.state == .running {
            try await Task.sleep(for: .milliseconds(100))
            var request = SiloV1.GetBulkActionRequest()
            request.id = action.id
            action = try await connection.call(SiloV1.Silo.getBulkAction, request).action ?? action
        }
        guard action.state == .done else { throw Failure("the action ended so: \(action.error)") }
        return (Double(action.lookedAt) / (Double(max(1, action.endedAtMs - action.startedAtMs)) / 1000), action)
    }

    private func begin(
        _ kind: SiloV1.BulkActionKind, _ condition: String, _ connection: Connection
    ) async throws -> SiloV1.BulkAction {
        var request = SiloV1.StartBulkActionRequest()
        request.kind = kind
        request.condition = condition
        guard let action = try await connection.call(SiloV1.Silo.startBulkAction, request).action else {
            throw Failure("no action was begun")
        }
        return action
    }

    private func stop(_ id: String, _ connection: Connection) async throws -> SiloV1.BulkAction {
        var request = SiloV1.CancelBulkActionRequest()
        request.id = id
        return try await connection.call(SiloV1.Silo.cancelBulkAction, request).action ?? SiloV1.BulkAction()
    }
}
