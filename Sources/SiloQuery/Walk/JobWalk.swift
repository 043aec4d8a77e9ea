package import SiloCore
package import SiloStore

/// A part of a walk over all jobs of a shard in the order of their keys, which stays the same whatever becomes of the jobs.
package struct JobWalk: Sendable {
    /// Whose jobs; nil: everybody's.
    package let tenants: [Tenant]?
    /// Keys of jobs, `to` not among them.
    package let from: Bytes
    package let to: Bytes
    /// Jobs to look at, at most.
    package let rowsMax: Int

    package init(tenants: [Tenant]?, from: Bytes, to: Bytes, rowsMax: Int) {
        self.tenants = tenants
        self.from = from
        self.to = to
        self.rowsMax = rowsMax
    }

    /// Of the tenants that a statement names those whose jobs are looked at, in the order of their keys; nil: any.
    func scope(_ named: [Tenant]?) -> [Tenant]? {
        guard let named else { return tenants.map(Self.ordered) }
        return Self.ordered(tenants.map { tenants in named.filter(tenants.contains) } ?? named)
    }

    private static func ordered(_ tenants: [Tenant]) -> [Tenant] {
        tenants.unique.map { ($0, TenantKeys($0).jobs.start) }.sorted { $0.1.lexicographicallyPrecedes($1.1) }.map(\.0)
    }
}

/// Jobs of a walk that meet its condition.
package struct WalkedJobs: Sendable {
    package struct Job: Sendable {
        package let tenant: Tenant
        package let id: JobID
        /// Nil: the job's rows cannot be read, so nobody knows whether it meets the condition.
        package let stamp: JobStamp?
        /// How many jobs had been looked at with this one.
        package let row: Int
    }
    package let jobs: [Job]
    /// Jobs that were looked at.
    package let rows: Int
    /// The key to go on from; nil: everything was looked at.
    package let next: Bytes?
}

extension Query {
    /// A condition on jobs, to be walked with.
    package init(where condition: String, _ walk: JobWalk, of shard: QueriedShard, now: Timestamp) {
        self.init("SELECT 1 FROM jobs WHERE (\(condition)\n)", tenants: walk.tenants, of: [shard], now: now)
        self.walk = walk
    }

    /// Walks on a thread of its own.
    package func walked(_ limits: QueryLimits = QueryLimits(), _ control: StatementControl) async throws(QueryError) -> WalkedJobs
    {
        try await onThread(limits) { () throws(QueryError) in
            let run = StatementRun(self, limits, control)
            let rows = WalkedRows(run)
            do throws(QueryError) {
                try run.run(into: rows)
            } catch {
                // It goes on behind a job that cannot be read.
                guard let job = run.walker?.unreadable else { throw error }
                return WalkedJobs(jobs: rows.jobs + [job], rows: job.row, next: TenantKeys(job.tenant).job(job.id) + [0])
            }
            return WalkedJobs(jobs: rows.jobs, rows: run.walker?.pages.rows ?? 0, next: run.walker?.pages.stoppedAt)
        }
    }
}

/// SQLite stands at a job whenever it gives a row: there is nothing between it and the one table.
private final class WalkedRows: RowSink {
    private unowned let run: StatementRun
    private(set) var jobs: [WalkedJobs.Job] = []

    init(_ run: StatementRun) { self.run = run }

    func begin(_ columns: [Column]) {}

    func add(_ statement: PreparedStatement) throws(QueryError) {
        guard let job = run.walker?.job else { throw .execution("the walk has lost its place") }
        jobs.append(job)
    }

    func add(_ texts: [String]) {}
    func end() {}
}
