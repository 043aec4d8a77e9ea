import Protobuf
import SiloCore
import SiloStore

/// Reads the rows that a bulk action needs of some jobs, before it goes through them one by one.
struct BulkReads {
    /// About so many jobs were looked at to find one: the fewer, the closer they lie to each other.
    let rowsOfOne: Int
    let verb: StorageV1.BulkVerb
    /// Slices that were asked, and whether rows of theirs were set aside.
    private var setAside: [Slice: Bool] = [:]

    /// Of jobs that lie so close, the range is read.
    private static let rowsOfOneMax = 4
    private static let bytesMax = 4 << 20

    init(rowsOfOne: Int, verb: StorageV1.BulkVerb) {
        self.rowsOfOne = rowsOfOne
        self.verb = verb
    }

    mutating func readAhead(of jobs: [FoundJob], in transaction: Transaction) async throws(StoreError) {
        let keys = jobs.map { (TenantKeys($0.tenant), $0.id) }
        try await read(keys.map { $0.job($1) }, in: transaction)
        try await read(keys.map { $0.status($1) }, in: transaction)
        try await read(keys.map { $0.lease($1) }, in: transaction)
        guard verb == .cancel || verb == .expedite else { return }
        try await findPending(jobs, in: transaction)
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

    // MARK: Pending attempts

    /// Finds out where pending attempts stand. Their rows lie in another order than the jobs: where there are many, each read
    /// would be one of the disk. So what can be concluded is not read.
    private mutating func findPending(_ jobs: [FoundJob], in transaction: Transaction) async throws(StoreError) {
        var concluded: [(others: [Bytes], last: Bytes)] = []
        var asked: [Bytes] = []
        for job in jobs {
            guard let (stored, reference) = try await transaction.find(job.tenant, job.id),
                let places = PlacesOfOne(of: reference, stored, in: transaction)
            else { continue }
            for key in places.empty { transaction.rows.presume(key, isThere: false) }
            var others = places.others
            if let last = places.last {
                if try await hasSetAside(of: reference.keys.slice, in: transaction) {
                    others.append(last)
                } else {
                    concluded.append((others, last))
                }
            }
            asked += others
        }
        try await transaction.rows.readAhead(asked)
        for (others, last) in concluded {
            var isElsewhere = false
            for key in others where !isElsewhere { isElsewhere = try await transaction.rows.get(key) != nil }
            if !isElsewhere { transaction.rows.presume(last, isThere: true) }
        }
    }

    /// Whether rows of a slice could not be read and were set aside: a job of it may then stand nowhere.
    private mutating func hasSetAside(of slice: Slice, in transaction: Transaction) async throws(StoreError) -> Bool {
        if let known = setAside[slice] { return known }
        let range = slice.setAside
        let found = !(try await transaction.rows.scan(from: range.start, to: range.end, limit: 1).rows.isEmpty)
        setAside[slice] = found
        return found
    }
}

/// Where the pending attempt of a job may stand, as far as its own rows and its queue's counts tell.
private struct PlacesOfOne {
    /// Nobody of the queue stands at such a place.
    private(set) var empty: [Bytes] = []
    /// Are to be read.
    private(set) var others: [Bytes] = []
    /// Where it stands if at none of the others, holding nothing: so nobody need read it. Nil: there is no such place.
    private(set) var last: Bytes?

    init?(of job: JobReference, _ stored: StoredJob, in transaction: Transaction) {
        guard stored.state == .scheduled, let start = stored.pendingStart, let due = stored.due else { return nil }
        let limits = stored.job.limits
        let position = job.position(of: stored, start: start, transaction.settings)
        let counts = job.queue.counts
        let ready = job.keys.ready(job.group, position)
        let timer = job.keys.timer(due.axis, job.group, stored.position(due))
        let isEarly = transaction.pending.isEarly(stored)
        // A job with limits holds something when it is ready, and may do so while an external limiter is asked.
        add(ready, if: counts.ready > 0, holdsNothing: limits.isEmpty)
        add(timer, if: counts[due.axis] > 0, holdsNothing: limits.isEmpty || due.axis == .wall, isLikely: isEarly)
        guard !limits.isEmpty else { return }
        add(job.keys.waiting(LineID(of: limits), position), if: counts.waiting > 0, holdsNothing: true, isLikely: !isEarly)
    }

    /// - Parameter isLikely: rather this one is left unread than those before it.
    private mutating func add(_ key: Bytes, if isPossible: Bool, holdsNothing: Bool, isLikely: Bool = false) {
        guard isPossible else { return empty.append(key) }
        if holdsNothing, last == nil || isLikely {
            if let last { others.append(last) }
            last = key
        } else {
            others.append(key)
        }
    }
}
