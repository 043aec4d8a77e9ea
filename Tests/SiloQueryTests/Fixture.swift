import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting

@testable import SiloQuery

/// A shard over a store in memory, made by the engine, and what SQL says of it.
final class Fixture: Sendable {
    let clock = ManualClock()
    let store: MemoryStore
    let shard: Shard
    let id = ShardID(UUID.random(from: SeededRandom(seed: 7)))
    static let tenant = Tenant("-")

    init() async throws {
        store = MemoryStore(clock: clock)
        var settings = EngineSettings()
        settings.unheardLeasesMax = 0
        shard = try await Shard.open(store, settings: settings, clock: clock, random: SeededRandom(seed: 1))
    }

    func enqueue(
        _ id: String, tenant: Tenant = Fixture.tenant, priority: UInt32 = 50, after wait: Int64? = nil, group: String = "g",
        payload: Bytes = [], limits: [StorageV1.Limit] = [], metadata: TextMap<String> = [:], retries: UInt32 = 0
    ) async throws {
        var policy = StorageV1.RetryPolicy()
        policy.retryCount = retries
        policy.initialIntervalMs = 60_000
        policy.maxIntervalMs = 60_000
        policy.backoffFactor = 1
        _ = try await shard.run(
            Enqueue(
                tenant: tenant, id: JobID(id), priority: priority, startAtMs: wait.map { clock.now.milliseconds + $0 } ?? 0,
                retryPolicy: retries > 0 ? policy : nil, payload: payload, limits: limits, metadata: metadata,
                taskGroup: group))
    }

    @discardableResult
    func lease(group: String = "g") async throws -> LeasedTask? {
        try await shard.lease(Lease(worker: "w", group: group, taskCountMax: 1)).tasks.first
    }

    /// Moves the clock, and waits for the shard to have looked at it.
    func pass(_ milliseconds: Int64) async throws {
        clock.advance(milliseconds: milliseconds)
        _ = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 0))
    }

    /// Enqueues a job, runs it and ends it so.
    ///
    /// - Parameter group: in which nothing else is ready; nil: one of its own.
    func finish(
        _ id: String, tenant: Tenant = Fixture.tenant, group: String? = nil, _ outcome: ReportOutcome.Outcome, retries: UInt32 = 0
    ) async throws {
        try await enqueue(id, tenant: tenant, group: group ?? id, retries: retries)
        guard let task = try await lease(group: group ?? id) else { return }
        try await shard.run(ReportOutcome(tenant: tenant, task: task.id, outcome: outcome))
    }

    static let success = ReportOutcome.Outcome.success(result: [1])
    static let failure = ReportOutcome.Outcome.failure(code: "BROKEN", data: [2])

    // MARK: Asking

    func query(
        _ sql: String, _ parameters: [Parameter] = [], tenant: Tenant? = nil, limits: QueryLimits = QueryLimits(),
        timeout: Int64 = 0, clock: any Clock = SystemClock()
    ) async throws -> QueryResult {
        let queried = QueriedShard(id: id, range: .all, reader: try await shard.snapshot(), moment: shard.moment)
        let query = Query(sql, parameters, tenants: tenant.map { [$0] }, of: [queried], now: self.clock.now)
        return try await query.run(limits, StatementControl(timeoutMilliseconds: timeout, clock: clock))
    }

    /// The rows, each as its values in text, with `|` between them.
    func rows(_ sql: String, _ parameters: [Parameter] = [], tenant: Tenant? = nil) async throws -> [String] {
        try await query(sql, parameters, tenant: tenant).texts
    }

    /// Why a statement has no result; nil: it has one.
    func refusal(_ sql: String, _ parameters: [Parameter] = []) async throws -> QueryError? {
        do {
            _ = try await query(sql, parameters)
            return nil
        } catch let error as QueryError {
            return error
        }
    }

    /// The lines of a plan.
    func plan(_ sql: String) async throws -> [String] {
        let text = try await rows("EXPLAIN " + sql).last ?? ""
        return text.dropFirst("physical_plan|".count).split(separator: "\n").map(String.init)
    }
}

extension QueryResult {
    var texts: [String] { rows.map { row in MessagePackText.values(row).joined(separator: "|") } }
    var names: [String] { columns.map(\.name) }
}

/// The values of a MessagePack map in its order, as text.
enum MessagePackText {
    static func values(_ bytes: [UInt8]) -> [String] {
        var reader = Reader(bytes: bytes)
        return reader.entries()
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        mutating func entries() -> [String] {
            let head = take()
            let count = head == 0xde ? Int(number(2)) : Int(head & 15)
            return (0..<count).map { _ in
                _ = value()
                return value()
            }
        }

        private mutating func take() -> UInt8 {
            defer { position += 1 }
            return bytes[position]
        }

        private mutating func number(_ width: Int) -> UInt64 {
            (0..<width).reduce(0) { number, _ in number << 8 | UInt64(take()) }
        }

        private mutating func text(_ count: Int) -> String {
            defer { position += count }
            return String(decoding: bytes[position..<position + count], as: UTF8.self)
        }

        private mutating func value() -> String {
            let head = take()
            switch head {
            case 0x00...0x7f: return "\(head)"
            case 0xe0...0xff: return "\(Int8(bitPattern: head))"
            case 0xa0...0xbf: return text(Int(head & 31))
            case 0xc0: return "nil"
            case 0xc2: return "false"
            case 0xc3: return "true"
            case 0xcb: return "\(Double(bitPattern: number(8)))"
            case 0xcc...0xcf: return "\(number(1 << Int(head - 0xcc)))"
            case 0xd0: return "\(Int8(truncatingIfNeeded: number(1)))"
            case 0xd1: return "\(Int16(truncatingIfNeeded: number(2)))"
            case 0xd2: return "\(Int32(truncatingIfNeeded: number(4)))"
            case 0xd3: return "\(Int64(bitPattern: number(8)))"
            case 0xd9: return text(Int(number(1)))
            case 0xda: return text(Int(number(2)))
            case 0xdb: return text(Int(number(4)))
            default: return "?\(head)"
            }
        }
    }
}
