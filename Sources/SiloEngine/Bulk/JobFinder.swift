public import SiloCore
public import SiloStore

/// Finds the jobs that a bulk action is about. Its condition is a text that the engine does not understand.
public protocol JobFinder: Sendable {
    /// Looks at the next jobs of a search, in the order of their keys.
    /// - Parameters:
    ///   - reader: one unchanging view of the shard.
    ///   - moment: when it was taken, by the shard's clocks.
    func find(_ search: JobSearch, in reader: any StoreReader, at moment: Moment) async throws(FindError) -> FoundJobs
}

/// Where to look, and for what.
public struct JobSearch: Sendable {
    public let condition: String
    /// Whose jobs; nil: everybody's.
    public let tenants: [Tenant]?
    /// What the condition takes for the present.
    public let now: Timestamp
    /// Keys of jobs, `to` not among them.
    public let from: Bytes
    public let to: Bytes
    /// Jobs to look at, at most.
    public let rowsMax: Int
}

/// What was found.
public struct FoundJobs: Sendable {
    /// In the order of their keys.
    public var jobs: [FoundJob]
    /// Jobs that were looked at.
    public var rows: Int
    /// Where to go on; nil: everything was looked at.
    public var next: Bytes?

    public init(jobs: [FoundJob] = [], rows: Int = 0, next: Bytes? = nil) {
        self.jobs = jobs
        self.rows = rows
        self.next = next
    }
}

/// A job that meets the condition, or of which that cannot be said.
public struct FoundJob: Sendable {
    public let tenant: Tenant
    public let id: JobID
    /// How it stood then; nil: its rows cannot be read.
    public let stamp: JobStamp?
    /// How many jobs had been looked at with this one.
    public let row: Int

    public init(tenant: Tenant, id: JobID, stamp: JobStamp?, row: Int) {
        self.tenant = tenant
        self.id = id
        self.stamp = stamp
        self.row = row
    }

    var key: Bytes { TenantKeys(tenant).job(id) }
}

/// Why nothing was found out.
public enum FindError: Error {
    /// The condition has no answer for some job: asking again would give none either.
    case cannot(String)
    /// It took longer than it may: fewer jobs may do.
    case tooSlow(String)
    case store(StoreError)
}
