import Protobuf
import SiloCore
import SiloStore

/// Reads the rows that a bulk action needs of some jobs, before it goes through them one by one.
struct BulkReads {
    /// About so many jobs were looked at to find one: the fewer, the closer they lie to each other.
    let rowsOfOne: Int
    let verb: StorageV1.BulkVerb

    /// Of jobs that lie so close, the range is read.
    private static let rowsOfOneMax = 4
    private static let bytesMax = 4 << 20

    func readAhead(of jobs: [FoundJob], in transaction: Transaction) async throws(StoreError) {
        let keys = jobs.map { (TenantKeys($0.tenant), $0.id) }
        try await read(keys.map { $0.job($1) }, in: transaction)
        try await read(keys.map { $0.status($1) }, in: transaction)
        try await read(keys.map { $0.lease($1) }, in: transaction)
        guard verb == .cancel || verb == .expedite else { return }
        var pending: [Bytes] = []
        for job in jobs {
            guard let (stored, reference) = try await transaction.find(job.tenant, job.id) else { continue }
            if let key = transaction.pending.likelyKey(reference, stored) { pending.append(key) }
        }
        try await transaction.rows.readAhead(pending)
    }

    /// - Parameter keys: of one family, in the order of the jobs.
    private func read(_ keys: [Bytes], in transaction: Transaction) async throws(StoreError) {
        if rowsOfOne <= Self.rowsOfOneMax {
            let limit = keys.count * (Self.rowsOfOneMax + 1)
            try await transaction.rows.readAhead(through: keys, limit: limit, bytesMax: Self.bytesMax)
        } else {
            try await transaction.rows.readAhead(keys)
        }
    }
}
