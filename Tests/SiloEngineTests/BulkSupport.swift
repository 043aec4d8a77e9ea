import SiloCore
import SiloStore
import Synchronization

@testable import SiloEngine

/// Finds jobs by words in the place of SQL: `all`, `failed`, `scheduled`, `id x`; `broken` cannot be answered.
final class WordFinder: JobFinder {
    /// Jobs that are looked at, at once, at most.
    private let rowsMax: Int
    private let asked = Mutex(0)
    /// Runs after each page was found, before anybody acts on it.
    private let afterwards = Mutex<(@Sendable (Int) async -> Void)?>(nil)

    init(rowsMax: Int = 7) { self.rowsMax = rowsMax }

    /// Pages that were asked for.
    var pages: Int { asked.withLock { $0 } }

    func afterEachPage(_ body: (@Sendable (Int) async -> Void)?) { afterwards.withLock { $0 = body } }

    func find(_ search: JobSearch, in reader: any StoreReader, at moment: Moment) async throws(FindError) -> FoundJobs {
        guard search.condition != "broken" else { throw .cannot("it is broken") }
        let found: FoundJobs
        do throws(StoreError) { found = try await jobs(search, in: reader) } catch { throw .store(error) }
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        await afterwards.withLock { $0 }?(number)
        return found
    }

    private func jobs(_ search: JobSearch, in reader: any StoreReader) async throws(StoreError) -> FoundJobs {
        var found = FoundJobs()
        var keys: [Bytes] = []
        try await reader.scanAll(from: search.from, to: search.to) { row throws(StoreError) in
            if row.key.count > 2, row.key[2] == 0x40 { keys.append(row.key) }
        }
        for key in keys {
            guard found.rows < min(rowsMax, search.rowsMax) else {
                found.next = key
                break
            }
            found.rows += 1
            guard let (tenant, id) = ShardKeys.parseLease(key), search.tenants?.contains(tenant) ?? true else { continue }
            var stamp: JobStamp?
            do throws(StoreError) {
                guard let stored = try await StoredJob.read(id, TenantKeys(tenant), from: reader),
                    Self.meets(search.condition, stored)
                else { continue }
                stamp = JobStamp(stored.status, stored.lease)
            } catch {
                guard case .corrupt = error else { throw error }
            }
            found.jobs.append(FoundJob(tenant: tenant, id: id, stamp: stamp, row: found.rows))
        }
        return found
    }

    private static func meets(_ condition: String, _ job: StoredJob) -> Bool {
        switch condition {
        case "all": true
        case "failed": job.state == .failed
        case "scheduled": job.state == .scheduled
        default: condition == "id \(job.job.id)"
        }
    }
}

extension Bench {
    @discardableResult
    func begin(
        _ verb: StorageV1.BulkVerb, _ condition: String = "all", of tenants: [Tenant]? = nil, _ id: BulkID = Bench.bulk
    ) async throws -> StorageV1.BulkAction {
        try await shard.run(StartBulk(id, verb, where: condition, of: BulkScope(tenants), by: "tester")).action
    }

    static let bulk = BulkID(UUID(high: 1, low: 2))

    func bulks() async throws -> [StorageV1.BulkAction] { try await shard.run(ListBulks()) }

    func bulk(_ id: BulkID = Bench.bulk) async throws -> StorageV1.BulkAction? {
        try await bulks().first { $0.id == id.uuid.bytes }
    }

    /// Returns when no action goes on: each turn of the loop that this makes has the runner take a breath.
    func finishBulk(_ id: BulkID = Bench.bulk) async throws -> StorageV1.BulkAction {
        while shard.bulkCount > 0 { try await pass(17) }
        return try await bulk(id) ?? StorageV1.BulkAction()
    }
}

extension StorageV1.BulkAction {
    /// Reasons and counts, in order.
    var reasons: [String] { refusals.map { "\($0.reason): \($0.count)" }.sorted() }
}
