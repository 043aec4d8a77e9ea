import SiloCore
import SiloStore

/// The failed jobs of a shard, newest first: each of its slices has an index in that order.
///
/// `@unchecked Sendable`: one task at a time reads.
final class NewestFailures: PageSource, @unchecked Sendable {
    private let scan: JobScan
    private let shard: ScannedShard
    private var slices: [JobPages]?
    private var merge = Merge<JobRow>(by: JobRow.isNewer)
    /// Rows that OFFSET passes over yet.
    private var toSkip: Int
    /// Of which slices a page has to be read before there are more rows.
    private var wanted: [Int] = []

    init(_ scan: JobScan, _ shard: ScannedShard) {
        self.scan = scan
        self.shard = shard
        toSkip = scan.rowsSkipped
    }

    func next() async throws(StoreError) -> [JobRow]? {
        let slices = if let slices { slices } else { try await open() }
        while true {
            for slice in wanted {
                if let page = try await slices[slice].next() { merge.add(page, of: slice) }
            }
            var (rows, emptied) = merge.rows()
            wanted = emptied.map { [$0] } ?? []
            guard !rows.isEmpty else { return nil }
            let skipped = min(toSkip, rows.count)
            toSkip -= skipped
            rows.removeFirst(skipped)
            if !rows.isEmpty { return rows }
        }
    }

    private func open() async throws(StoreError) -> [JobPages] {
        let parts = try await Part.all(of: shard, nil)
        // Of many slices each has a few of the newest.
        let rows = scan.rowsWanted.map { max(4, 2 * $0 / max(1, parts.count)) }
        let slices = parts.map { JobPages(scan, shard, parts: [$0], rowsWanted: rows) }
        wanted = Array(slices.indices)
        self.slices = slices
        return slices
    }
}

extension JobRow {
    static func isNewer(_ one: JobRow, _ other: JobRow) -> Bool { (one.changedAt ?? .min) > (other.changedAt ?? .min) }
}
