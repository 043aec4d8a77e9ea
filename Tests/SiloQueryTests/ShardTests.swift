import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import SlateDB
import Synchronization
import TestSupport
import Testing

@testable import SiloQuery

/// A view that tells of its scans, and whose scans can be kept waiting.
private final class WatchedReader: StoreReader {
    private let inner: any StoreReader
    private let count = Atomic(0)
    private let onScan: @Sendable (Int) async -> Void

    /// - Parameter onScan: runs before each scan, with how many there were.
    init(_ inner: any StoreReader, onScan: @escaping @Sendable (Int) async -> Void) {
        self.inner = inner
        self.onScan = onScan
    }

    var scans: Int { count.load(ordering: .relaxed) }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        await onScan(count.add(1, ordering: .relaxed).newValue)
        return try await inner.scan(from: start, to: end, limit: limit)
    }
}

/// Opened once; who comes before waits.
private final class Gate: Sendable {
    private let (stream, opener) = AsyncStream.makeStream(of: Never.self)
    func open() { opener.finish() }
    func pass() async { for await _ in stream {} }
}

/// Statements over several shards: side by side, in part, and of nobody's rows but those that are asked for.
@Suite(.timeLimit(.minutes(10))) struct ShardTests {
    private func shard(_ number: UInt64, _ fixture: Fixture, _ reader: (any StoreReader)? = nil) async throws -> QueriedShard {
        let view = try await fixture.shard.snapshot()
        return QueriedShard(
            id: ShardID(UUID.random(from: SeededRandom(seed: 100 + number))), range: .all, reader: reader ?? view,
            moment: fixture.shard.moment)
    }

    private func run(
        _ sql: String, _ shards: [QueriedShard], control: StatementControl? = nil, partial: Bool = false,
        limits: QueryLimits = QueryLimits()
    ) async throws -> QueryResult {
        let query = Query(sql, of: shards, now: Timestamp(0), allowsPartial: partial)
        return try await query.run(limits, control ?? StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
    }

    private func refusal(_ sql: String, _ shards: [QueriedShard], _ control: StatementControl) async -> QueryError? {
        do throws(QueryError) {
            _ = try await Query(sql, of: shards, now: Timestamp(0)).run(QueryLimits(), control)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("SELECT id FROM jobs", 2, 2, true), ("SELECT id FROM jobs", 3, 3, false), ("SELECT id FROM jobs", 9, 3, false),
        ("SELECT id FROM jobs ORDER BY priority DESC, id", 1, 1, true), ("SELECT COUNT(*) FROM jobs", 1, 1, false),
    ])
    func aStatementEndsAfterSoManyRowsAndSaysWhetherThereAreMore(sql: String, most: Int, rows: Int, isCut: Bool) async throws {
        let fixture = try await Fixture()
        for id in ["a", "b", "c"] { try await fixture.enqueue(id) }
        let shards = [try await shard(0, fixture)]
        let query = Query(sql, of: shards, now: Timestamp(0), rowsMax: most)
        let result = try await query.run(QueryLimits(), StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
        #expect(result.rows.count == rows && result.isCut == isCut)
    }

    @Test func shardsAreReadSideBySide() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a")
        let view = try await fixture.shard.snapshot()
        let gate = Gate()
        let begun = Mutex(0)
        var shards: [QueriedShard] = []
        for number in 0..<4 {
            // Each waits until all have begun.
            let reader = WatchedReader(view) { count in
                if count == 1, begun.withLock({ $0 += 1; return $0 }) == 4 { gate.open() }
                await gate.pass()
            }
            shards.append(try await shard(UInt64(number), fixture, reader))
        }
        #expect(try await run("SELECT id FROM jobs WHERE priority >= 0", shards).texts == ["a", "a", "a", "a"])
        #expect(try await run("SELECT COUNT(*) FROM jobs", shards).texts == ["4"])
    }

    @Test func aLimitGoesDownToEachShard() async throws {
        let fixture = try await Fixture()
        for number in 0..<200 { try await fixture.enqueue("j\(number)") }
        var shards: [QueriedShard] = []
        for number in 0..<3 { shards.append(try await shard(UInt64(number), fixture)) }
        let found = try await run("SELECT id FROM jobs WHERE status_kind='Waiting' LIMIT 10", shards)
        #expect(found.rows.count == 10)
        for shard in shards { #expect(shard.counts.scanned <= 11, "the directory, then ten rows") }
    }

    @Test func theNewestFailuresOfAllTenantsAreMerged() async throws {
        let fixture = try await Fixture()
        var ids: [String] = []
        for round in 0..<3 {
            for number in 0..<20 {
                ids.append("j\(round)-\(number)")
                try await fixture.finish(ids[ids.count - 1], tenant: Tenant("t\(number * 7 % 20)"), Fixture.failure)
                fixture.clock.advance(milliseconds: 1)
            }
        }
        let sql = "SELECT id FROM jobs WHERE status_kind='Failed' ORDER BY status_changed_at_ms DESC"
        let one = try await shard(0, fixture)
        #expect(try await run(sql, [one]).texts == ids.reversed())
        let two = [try await shard(1, fixture), try await shard(2, fixture)]
        let newest = ids.reversed().prefix(5).flatMap { [$0, $0] }
        #expect(try await run("\(sql) LIMIT 10", two).texts == newest)
        // Of each slice its counts and a few rows, and no sort above.
        #expect(two[0].counts.scanned <= 20 * 6)
        // Of some tenants there is no such index: they are sorted.
        let few = Query("\(sql) LIMIT 3", tenants: [Tenant("t0"), Tenant("t7")], of: [one], now: Timestamp(0))
        let found = try await few.run(QueryLimits(), StatementControl(timeoutMilliseconds: 0, clock: SystemClock()))
        #expect(found.texts == ["j2-1", "j2-0", "j1-1"])
    }

    @Test func aShardThatDoesNotAnswerIsNamed() async throws {
        let fixture = try await Fixture()
        try await fixture.enqueue("a")
        let view = try await fixture.shard.snapshot()
        let (gate, isStuck) = (Gate(), AsyncStream.makeStream(of: Void.self))
        let stuck = try await shard(
            1, fixture,
            WatchedReader(view) { _ in
                isStuck.continuation.yield()
                await gate.pass()
            })
        let shards = [try await shard(0, fixture), stuck]
        var signals = isStuck.stream.makeAsyncIterator()
        let sql = "SELECT id FROM jobs WHERE priority >= 0"

        let clock = ManualClock()
        async let whole = refusal(sql, shards, StatementControl(timeoutMilliseconds: 1000, clock: clock))
        await signals.next()
        clock.advance(milliseconds: 1000)
        guard case .timeout(1000, let waitingFor) = await whole else {
            Issue.record("it ended otherwise")
            return gate.open()
        }
        // On a busy machine the other one may not have been heard either.
        #expect(waitingFor.contains(stuck.id))

        async let part = run(
            sql, shards, control: StatementControl(timeoutMilliseconds: 1000, clock: clock), partial: true)
        await signals.next()
        clock.advance(milliseconds: 600)
        let found = try await part
        #expect(found.texts == ["a"])
        #expect(found.missing.map(\.shard) == [stuck.id] && found.missing[0].why == .unanswered(500, of: stuck.id))
        gate.open()
    }

    @Test("a database that is closed, or let go to another process, in mid-scan ends the statement, and those that come after it",
        arguments: [false, true])
    func aShardThatClosesInMidScan(isTakenOver: Bool) async throws {
        let folder = try TemporaryFolder()
        let store = SlateStore(try await Database.open("shard", in: try ObjectStore.local(folder.path)))
        let engine = try await Shard.open(store, clock: ManualClock(), random: SeededRandom(seed: 1))
        for start in stride(from: 0, to: 3000, by: 500) {
            let jobs = (start..<start + 500).map { number in
                Enqueue(
                    tenant: Fixture.tenant, id: JobID("j\(number)"), payload: Bytes(repeating: 0xc0, count: 2000), taskGroup: "g")
            }
            _ = try await engine.run(EnqueueAll(jobs))
        }
        let fixture = try await Fixture()
        // The scan has had some of its pages when it happens.
        let other = Mutex<SlateStore?>(nil)
        let reader = WatchedReader(try await engine.snapshot()) { scan in
            guard scan == 3 else { return }
            if isTakenOver, let database = try? await Database.open("shard", in: ObjectStore.local(folder.path)) {
                other.withLock { $0 = SlateStore(database) }
            }
            try? await store.close()
        }
        let shard = try await shard(0, fixture, reader)
        let sql = "SELECT COUNT(*) FROM jobs WHERE payload LIKE 'x%'"
        let control = StatementControl(timeoutMilliseconds: 0, clock: SystemClock())
        let refusal = await refusal(sql, [shard], control)
        switch refusal {
        case .store(.unavailable(let text, _), of: shard.id): #expect(text.contains("clos"))
        case .store(.fenced, of: shard.id): #expect(isTakenOver)
        default: Issue.record("it ended so: \(String(describing: refusal))")
        }
        #expect(shard.counts.scanned < 3000)
        // A partial result is one without it.
        let part = try await run("SELECT COUNT(*) FROM jobs WHERE payload LIKE 'x%'", [shard], partial: true)
        #expect(part.missing.map(\.shard) == [shard.id])
        try? await engine.close()
        try await other.withLock { $0 }?.close()
    }

    @Test func aStatementThatIsEndedReadsNoMore() async throws {
        let fixture = try await Fixture()
        for number in 0..<1500 { try await fixture.enqueue("j\(number)") }
        let control = StatementControl(timeoutMilliseconds: 0, clock: SystemClock())
        let reader = WatchedReader(try await fixture.shard.snapshot()) { if $0 == 3 { control.cancel() } }
        let shard = try await shard(0, fixture, reader)
        await #expect(throws: QueryError.cancelled) {
            _ = try await run("SELECT payload FROM jobs WHERE priority >= 0", [shard], control: control)
        }
        #expect(reader.scans <= 4, "of what was under way")
        #expect(shard.counts.scanned < 1000)
    }

    @Test func whatAStatementHoldsIsBounded() async throws {
        let fixture = try await Fixture()
        for number in 0..<100 { try await fixture.enqueue("j", tenant: Tenant("t\(number)")) }
        var limits = QueryLimits()
        limits.heldBytesMax = 100
        let (shard, small) = (try await shard(0, fixture), limits)
        await #expect(throws: QueryError.memory(100)) {
            _ = try await run("SELECT * FROM tenant_counts", [shard], limits: small)
        }
        #expect(try await run("SELECT COUNT(*) FROM tenant_counts", [shard]).texts == ["100"])
    }

    @Test(arguments: [("jobs", "id"), ("leases", "job_id"), ("queues", "queue_name")])
    func whatIsListedForAScanIsHeld(_ table: String, _ column: String) async throws {
        let fixture = try await Fixture()
        var limits = QueryLimits()
        limits.heldBytesMax = 100_000
        let (shard, small) = (try await shard(0, fixture), limits)
        func sql(_ count: Int) -> String {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count)) "
                + "SELECT COUNT(*) AS n FROM \(table) WHERE tenant = '-' AND \(column) IN (SELECT CAST(i AS TEXT) FROM n)"
        }
        #expect(try await run(sql(500), [shard], limits: small).texts == ["0"])
        await #expect(throws: QueryError.memory(100_000)) { _ = try await run(sql(2000), [shard], limits: small) }
        // Each scan gives back what it had.
        let again = "SELECT COUNT(*) AS n FROM (VALUES (1), (2), (3), (4)) AS v WHERE (\(sql(500)) AND priority >= v.column1) = 0"
        if table == "jobs" { #expect(try await run(again, [shard], limits: small).texts == ["4"]) }
    }

    @Test func noRowOfOthersPassesTheFence() async throws {
        let fixture = try await Fixture()
        let (own, other) = (Tenant("own"), Tenant("other"))
        for tenant in [own, other] { try await fixture.enqueue("j", tenant: tenant) }
        let control = StatementControl(timeoutMilliseconds: 0, clock: SystemClock())
        let reader = CountedReader(
            reader: try await fixture.shard.snapshot(), counts: ReadCounts(), control: control, fence: Fence([own]),
            held: HeldRows(HeldRows.Budget(most: 1000, control)))
        let keys = (TenantKeys(own), TenantKeys(other))
        #expect(try await reader.scan(keys.0.range(.job), limit: 10).rows.count == 1)
        #expect(try await reader.get(keys.0.job(JobID("j"))) != nil)
        await #expect(throws: StoreError.self) { _ = try await reader.scan(keys.1.range(.job), limit: 10) }
        await #expect(throws: StoreError.self) { _ = try await reader.get(keys.1.job(JobID("j"))) }
        await #expect(throws: StoreError.self) { _ = try await reader.scan(Slice(of: other.hash).range(.job), limit: 10) }
        await #expect(throws: StoreError.self) { _ = try await reader.get(ShardKeys.slices) }
    }

    @Test func everyTableKeepsToItsTenants() async throws {
        let fixture = try await Fixture()
        let tenants = [Tenant("a"), Tenant("b"), Tenant("c")]
        for tenant in tenants {
            try await fixture.enqueue("j", tenant: tenant)
            try await fixture.finish("f", tenant: tenant, Fixture.failure)
        }
        for table in ["jobs", "tasks", "tenant_counts", "attempts"] {
            let shard = try await shard(0, fixture)
            func seen(_ tenants: [Tenant]) async throws -> [String] {
                let sql = "SELECT DISTINCT tenant FROM \(table) WHERE tenant <> 'x' ORDER BY 1"
                let query = Query(sql, tenants: tenants, of: [shard], now: Timestamp(0))
                return try await query.run(QueryLimits(), StatementControl(timeoutMilliseconds: 0, clock: SystemClock())).texts
            }
            #expect(try await seen([tenants[0]]) == ["a"])
            #expect(try await seen([tenants[0], tenants[2]]) == ["a", "c"])
            #expect(try await seen([]) == [])
        }
    }
}
