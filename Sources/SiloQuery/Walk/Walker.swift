import Protobuf
import SiloCore
import SiloStore

/// The scan of a walk, as the statement's thread sees it. SQLite keeps the cursor for as long as it is asked.
final class Walker {
    let pages: JobWalkPages
    private unowned let cursor: JobsCursor
    private let shard: ShardID
    /// Of pages before the one in hand.
    private var rowsBefore = 0
    private var rowsOfPage = 0

    init(_ pages: JobWalkPages, _ cursor: JobsCursor, of shard: ShardID) {
        self.pages = pages
        self.cursor = cursor
        self.shard = shard
    }

    func turned(toPageOf rows: Int) {
        rowsBefore += rowsOfPage
        rowsOfPage = rows
    }

    /// The job that SQLite stands at; nil: there is none.
    var job: WalkedJobs.Job? {
        get throws(QueryError) {
            guard let (row, index) = cursor.current else { return nil }
            let status: StorageV1.Status?
            let lease: StorageV1.Lease?
            do {
                status = try row.statusRecord.map { try StorageV1.Status(serializedBytes: $0) }
                lease = try row.lease.map { try StorageV1.Lease(serializedBytes: $0) }
            } catch {
                throw .store(.corrupt("job \(row.jobID) cannot be read"), of: shard)
            }
            return WalkedJobs.Job(
                tenant: Tenant(row.tenant.string(in: row.key)), id: row.jobID, stamp: JobStamp(status, lease),
                row: min(rowsBefore + index + 1, pages.rows))
        }
    }
}
