package import SiloCore

/// Who may call a method. One table for all of them, whatever transport brings the call.
package struct MethodAccess: Equatable, Sendable {
    package enum Reach: Equatable, Sendable {
        /// It tells nothing of anybody's jobs.
        case nothing
        /// What its request names: the operation checks tenants and task groups, each where it is read.
        case named
        /// All tenants and groups: nothing for callers that are bound to some.
        case all
    }

    /// The least role that may call it; nil: whoever may call at all.
    package let role: Role?
    package let reach: Reach
    /// It keeps or ends a lease: it counts, and is never refused for its number, for then work would be done twice.
    package let keepsLease: Bool
    /// It stores new jobs.
    package let bringsJobs: Bool

    private init(_ role: Role?, _ reach: Reach, keepsLease: Bool = false, bringsJobs: Bool = false) {
        self.role = role
        self.reach = reach
        self.keepsLease = keepsLease
        self.bringsJobs = bringsJobs
    }

    /// Calls of it are written to the audit log.
    package var isAdministrative: Bool { role == .operate || role == .admin }

    /// What is not in the table is for administrators alone.
    package static func of(_ path: String) -> MethodAccess { table[path] ?? MethodAccess(.admin, .all) }

    /// Every method of `silo.v1.Silo`, also those that are not served yet. Health and reflection are everybody's, with limits of
    /// their own.
    package static let table: [String: MethodAccess] = Dictionary(
        uniqueKeysWithValues: rows.map { ("/silo.v1.Silo/\($0.0)", $0.1) }
    )

    static let rows: [(String, MethodAccess)] = [
        // Clients find their way by it.
        ("GetClusterInfo", .init(nil, .nothing)),

        ("GetJob", .init(.read, .named)),
        ("GetJobResult", .init(.read, .named)),
        ("ExplainJob", .init(.read, .named)),
        ("ListPauses", .init(.read, .named)),
        ("ListTenants", .init(.read, .named)),
        ("ListLimits", .init(.read, .named)),
        ("ListWorkers", .init(.read, .all)),
        ("ListJobs", .init(.read, .named)),
        ("GetSchedule", .init(.read, .named)),
        ("GetNodeInfo", .init(.read, .all)),
        ("GetOverview", .init(.read, .all)),
        ("Query", .init(.read, .named)),
        ("QueryArrow", .init(.read, .named)),

        ("Enqueue", .init(.enqueue, .named, bringsJobs: true)),
        ("EnqueueBatch", .init(.enqueue, .named, bringsJobs: true)),

        ("LeaseTasks", .init(.work, .named)),
        ("Heartbeat", .init(.work, .named, keepsLease: true)),
        ("ReportOutcome", .init(.work, .named, keepsLease: true)),
        ("ReportOutcomes", .init(.work, .named, keepsLease: true)),
        ("ReportRefreshOutcome", .init(.work, .named, keepsLease: true)),

        ("CancelJob", .init(.operate, .named)),
        ("RestartJob", .init(.operate, .named)),
        ("ExpediteJob", .init(.operate, .named)),
        ("DeleteJob", .init(.operate, .named)),
        ("ImportJobs", .init(.operate, .named, bringsJobs: true)),
        ("LeaseTask", .init(.operate, .named)),
        ("DropTenantHolders", .init(.operate, .named)),
        ("DropLimitHolders", .init(.operate, .named)),
        ("Pause", .init(.operate, .named)),
        ("Resume", .init(.operate, .named)),
        ("QuietWorker", .init(.operate, .all)),
        ("StartBulkAction", .init(.operate, .named)),
        ("GetBulkAction", .init(.operate, .named)),
        ("ListBulkActions", .init(.operate, .named)),
        ("CancelBulkAction", .init(.operate, .named)),
        ("GetShardStorageInfo", .init(.operate, .all)),
        ("GetSplitStatus", .init(.operate, .all)),
        ("GetTenantDrop", .init(.operate, .named)),

        ("DropTenant", .init(.admin, .named)),
        ("CompactShard", .init(.admin, .all)),
        ("FlushShard", .init(.admin, .all)),
        ("ResetShards", .init(.admin, .all)),
        ("RequestSplit", .init(.admin, .all)),
        ("ConfigureShard", .init(.admin, .all)),
        ("ForceReleaseShard", .init(.admin, .all)),
        ("CpuProfile", .init(.admin, .all)),
        ("HeapProfile", .init(.admin, .all)),
        ("DumpTasks", .init(.admin, .all)),
        ("SetLogFilter", .init(.admin, .all)),
        ("GetConfiguration", .init(.admin, .all)),
        ("ListAuditEntries", .init(.admin, .all)),
    ]
}
