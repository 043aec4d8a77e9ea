import Protobuf
import SiloCore
import SiloStore

/// The scan of a walk, as the statement's thread sees it. SQLite keeps the cursor for as long as it is asked.
final class Walker {
    let pages: JobWalkPages
    private unowned let cursor: JobsCursor
    /// Of pages before the one in hand.
    private var rowsBefore = 0
    private var rowsOfPage = 0

    init(_ pages: JobWalkPages, _ cursor: JobsCursor) {
        self.pages = pages
        self.cursor = cursor
    }

    func turned(toPageOf rows: Int) {
        rowsBefore += rowsOfPage
        rowsOfPage = rows
    }

    /// The job whose rows could not be read, so that the condition has no answer.
    private(set) var unreadable: WalkedJobs.Job?

    func cannotRead() { unreadable = current { _ in nil } }

    /// The job that SQLite stands at; nil: there is none.
    var job: WalkedJobs.Job? {
        current { row in
            do {
                return JobStamp(
                    try row.statusRecord.map { try StorageV1.Status(serializedBytes: $0) },
                    try row.lease.map { try StorageV1.Lease(serializedBytes: $0) })
            } catch {
                return nil
            }
        }
    }

    private func current(_ stamp: (JobRow) -> JobStamp?) -> WalkedJobs.Job? {
        guard let (row, index) = cursor.current else { return nil }
        return WalkedJobs.Job(
            tenant: Tenant(row.tenant.string(in: row.key)), id: row.jobID, stamp: stamp(row),
            row: min(rowsBefore + index + 1, pages.rows))
    }
}
