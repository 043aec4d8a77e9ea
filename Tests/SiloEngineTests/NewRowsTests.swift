import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import SlateDB
import Synchronization
import Testing

@testable import SiloEngine

/// What jobs that came and went between two checkpoints of the log leave for the sorted store below it.
@Suite(.timeLimit(.minutes(10))) struct NewRowsTests {
    private let store = NetStore(MemoryStore(clock: ManualClock()))

    private func netRows(of life: (Shard) async throws -> Void) async throws -> (kept: Int, deletions: [Bytes]) {
        let shard = try await Shard.open(store, clock: ManualClock(), random: SeededRandom(seed: 1))
        try await life(shard)
        try await shard.close()
        let changes = store.changes
        return (changes.count, changes.filter { $0.value.value == nil }.map(\.key))
    }

    private func enqueue(_ id: String, on shard: Shard, after wait: Int64 = 0, limits: [StorageV1.Limit] = []) async throws {
        let start = wait > 0 ? shard.moment.wall.milliseconds + wait : 0
        _ = try await shard.run(
            Enqueue(tenant: Bench.tenant, id: JobID(id), startAtMs: start, limits: limits, metadata: ["a": "b"], taskGroup: "g"))
    }

    @Test("of jobs that were done only what is kept is left, and no deletion of the rest")
    func done() async throws {
        let (kept, deletions) = try await netRows { shard in
            for number in 0..<20 {
                try await enqueue("\(number)", on: shard, limits: [slots("k", 1)])
                let task = try #require(try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 1)).tasks.first)
                _ = try await shard.run(Heartbeat(tenant: task.tenant, task: task.id, worker: "w"))
                _ = try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: .success(result: [])))
            }
        }
        // What is held of the limit may have had a row before.
        #expect(deletions.count <= 1)
        // The job, a label, its status, its place among the finished ones; and a few of the shard's.
        #expect(kept < 20 * 4 + 10)
    }

    @Test("of a job whose row was lost others may lie there: another of its id does not take its own for new")
    func leftBehind() async throws {
        for isImported in [false, true] {
            let bench = try await Bench.open { $0.inlineJobBytesMax = 0 }
            try await bench.enqueue("a", retries: 2)
            try await bench.fail(try await bench.leaseOne())
            try await bench.pass(2000)
            // Its first attempt stays when it is found out that it cannot be read.
            try await bench.memory.write([Write(key: TenantKeys(Bench.tenant).job(JobID("a")), value: [0xff])])
            #expect(try await bench.drain(1) == [])
            if isImported {
                var attempt = StorageV1.Attempt()
                attempt.outcome = .failed
                attempt.finishedAtMs = bench.now.milliseconds
                let again = Import(
                    tenant: Bench.tenant, id: JobID("a"), retryPolicy: policy(2), taskGroup: "g", attempts: [attempt])
                _ = try await bench.shard.run(again)
            } else {
                try await bench.enqueue("a", retries: 2)
                try await bench.fail(try await bench.leaseOne())
            }
            try await bench.pass(2000)
            #expect(try await bench.drain(1) == ["a"])
            try await bench.shard.close()
        }
    }

    @Test("of jobs that were deleted before they ran next to nothing is left")
    func deleted() async throws {
        let (kept, deletions) = try await netRows { shard in
            for number in 0..<20 {
                try await enqueue("\(number)", on: shard, after: number % 2 == 0 ? 1000 : 0)
                _ = try await shard.run(Cancel(tenant: Bench.tenant, id: JobID("\(number)")))
                _ = try await shard.run(Delete(tenant: Bench.tenant, id: JobID("\(number)")))
            }
        }
        // A status and a label may have been there before, for nobody looked; and the directory had the queue.
        #expect(deletions.count <= 2 * 20 + 1 && kept < 2 * 20 + 10)
    }
}

/// Keeps, beside a store, the net changes of all that was written to it.
private final class NetStore: KeyValueStore {
    private let inner: any KeyValueStore
    private let net = Mutex(LoggedRows())

    init(_ inner: any KeyValueStore) { self.inner = inner }

    var changes: SortedEntries<LoggedRows.Change> { net.withLock { $0.changes } }

    func write(_ batch: [Write]) async throws(StoreError) {
        try await inner.write(batch)
        net.withLock { $0.apply(batch, above: nil) }
    }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await inner.get(key) }
    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await inner.scan(from: start, to: end, limit: limit)
    }
    func snapshot() async throws(StoreError) -> any StoreReader { try await inner.snapshot() }
    func flush() async throws(StoreError) { try await inner.flush() }
    func close() async throws(StoreError) { try await inner.close() }
}
