import SiloCore
import SiloStore

/// Some jobs that are alike in what a statement asks of them.
struct JobTally: Sendable {
    /// Its place among the statement's shards.
    let shard: Int
    let tenant: Bytes
    let group: Bytes
    /// Nil: not asked for.
    let status: ShownStatus?
    let priority: Int64
    private(set) var count: Int64 = 0
    private(set) var changes = Extent()
    private(set) var enqueues = Extent()
    private(set) var priorities = Extent()
    private(set) var prioritySum: Int64 = 0

    /// The least and the greatest of some numbers.
    struct Extent: Sendable {
        private(set) var least = Int64.max
        private(set) var greatest = Int64.min

        mutating func take(_ number: Int64) {
            least = min(least, number)
            greatest = max(greatest, number)
        }
    }

    init(shard: Int, tenant: Bytes, group: Bytes, status: ShownStatus?, priority: Int64) {
        self.shard = shard
        self.tenant = tenant
        self.group = group
        self.status = status
        self.priority = priority
    }

    mutating func take(changedAt: Int64, enqueuedAt: Int64, priority: Int64) {
        count += 1
        changes.take(changedAt)
        enqueues.take(enqueuedAt)
        priorities.take(priority)
        prioritySum += priority
    }
}

/// Tallies in the making.
struct JobTallies: Sendable {
    /// What is asked of each job.
    struct Wants: Sendable {
        /// What the jobs of a tally share.
        let tenant: Bool
        let group: Bool
        let status: Bool
        let priority: Bool
        /// Numbers that are measured.
        let changes: Bool
        /// Of the stored job.
        let record: Bool
    }
    private let wants: Wants
    private let moment: Moment
    private(set) var rows: [JobTally] = []
    private var places: [Bytes: Int] = [:]
    /// What tells the tally of the job in hand from others.
    private var mark: Bytes = []

    init(_ wants: Wants, at moment: Moment) {
        self.wants = wants
        self.moment = moment
    }

    mutating func add(_ page: [JobRow]) throws(StoreError) {
        for index in page.indices where !add(page[index]) { throw page[index].unreadable }
    }

    /// - Returns: false when a record cannot be read.
    private mutating func add(_ job: JobRow) -> Bool {
        var fields: JobFields?
        if wants.record {
            guard let found = job.recordFields() else { return false }
            fields = found
        }
        var (status, changedAt) = (job.status, job.changedAt)
        if wants.status && status == nil || wants.changes && changedAt == nil {
            guard let view = job.statusView(at: moment, { fields ?? job.recordFields() }) else { return false }
            (status, changedAt) = (view.status, view.changedAt)
        }
        mark.removeAll(keepingCapacity: true)
        if wants.status { mark.append(status?.rawValue ?? .max) }
        if wants.priority { withUnsafeBytes(of: fields?.priority ?? 0) { mark.append(contentsOf: $0) } }
        if wants.tenant {
            mark.append(contentsOf: job.key[job.tenant.start..<job.tenant.end])
            // As no text within a key ends: what follows is no part of it.
            mark += [0, 1]
        }
        let groupStart = mark.count
        if wants.group {
            if let group = job.group {
                group.append(to: &mark, in: job.key)
            } else {
                let text: Void? = job.withStoredGroup({ fields ?? job.recordFields() }, { mark.append(contentsOf: $0) })
                guard text != nil else { return false }
            }
        }
        let priority = fields?.priority ?? 0
        let place = places[mark] ?? begin(job, group: Bytes(mark[groupStart...]), status, priority)
        rows[place].take(changedAt: changedAt ?? 0, enqueuedAt: fields?.enqueueTime ?? 0, priority: priority)
        return true
    }

    /// Of the job whose mark is made.
    private mutating func begin(_ job: JobRow, group: Bytes, _ status: ShownStatus?, _ priority: Int64) -> Int {
        let tenant = wants.tenant ? job.tenant.bytes(in: job.key) : []
        rows.append(JobTally(shard: job.shard, tenant: tenant, group: group, status: status, priority: priority))
        places[mark] = rows.count - 1
        return rows.count - 1
    }
}
