import SiloCore
import SiloStore

/// How the jobs of a statement are found (spec/query.md 5.1), and what plans call it.
struct JobScan: Sendable {
    enum Way: Sendable {
        case ids([String])
        case metadata(key: String, value: String, isPrefix: Bool)
        case statuses([ShownStatus])
        case everything
        case nothing
    }
    let way: Way
    /// Nil: everybody's.
    let tenants: [Tenant]?
    let needs: JobNeeds
    let rowsWanted: Int?
    /// Rows that are passed over before the first that is wanted.
    let rowsSkipped: Int
    /// By id within a tenant.
    let isOrderedByID: Bool
    /// The newest failures of all tenants come first.
    let isNewestFirst: Bool
    /// Of a scan of everything.
    let ids: IdRange
    /// When the status changed, of finished jobs.
    let changed: TimeBounds
    /// Of jobs that wait; nil: any.
    let groups: [TaskGroup]?

    /// Of a long value of metadata the index has the beginning only: the job tells.
    var verifies: (key: String, value: String, isPrefix: Bool)? {
        guard case .metadata(let key, let value, let isPrefix) = way,
            value.utf8.count > TenantKeys.indexedValueBytesMax - Self.characterBytesMax
        else { return nil }
        return (key, value, isPrefix)
    }

    /// An index ends a long value before the character that has no room.
    private static let characterBytesMax = 4

    /// - Parameter others: columns that are needed besides those that the plan names.
    init(_ plan: ScanPlan, _ arguments: ScanArguments, alsoOf others: Set<JobsTable.Name> = []) {
        var needs: JobNeeds = []
        for name in JobsTable.Name.allCases where plan.uses(name.rawValue) || others.contains(name) {
            switch name {
            case .shard, .tenant, .id: break
            case .status: needs.insert(.status)
            case .changedAt, .attempt, .nextStart: needs.insert([.status, .details])
            case .group: needs.insert(.group)
            case .errorCode: needs.insert([.status, .outcome])
            // It stands in conditions alone, which the scan answers unless they are looked at again.
            case .metadataIndex: if plan.checkedAgain.contains(name.rawValue) { needs.insert(.record) }
            default: needs.insert(.record)
            }
        }
        tenants = arguments.tenants(JobsTable.tenant)
        way = tenants?.isEmpty == true ? .nothing : Way(arguments)
        if case .statuses = way { needs.remove(.status) }
        self.needs = needs
        rowsWanted = arguments.rowsWanted
        rowsSkipped = arguments.rowsSkipped
        isOrderedByID = plan.isOrdered
        let isOfStatus = if case .statuses = way { true } else { false }
        isNewestFirst = plan.isOrdered && tenants == nil && isOfStatus
        ids = IdRange(arguments, column: JobsTable.Name.id.rawValue)
        changed = TimeBounds(arguments, column: JobsTable.Name.changedAt.rawValue)
        groups = arguments.texts(JobsTable.group)?.unique.map { TaskGroup($0) }
    }

    /// For whoever has chosen the ranges without it.
    init(needs: JobNeeds, rowsWanted: Int) {
        let none = ScanArguments(values: [:], rowsWanted: rowsWanted, rowsSkipped: 0, audience: nil)
        self.needs = needs
        self.rowsWanted = rowsWanted
        (way, tenants, rowsSkipped, groups) = (.everything, nil, 0, nil)
        (isOrderedByID, isNewestFirst) = (false, false)
        ids = IdRange(none, column: JobsTable.Name.id.rawValue)
        changed = TimeBounds(none, column: JobsTable.Name.changedAt.rawValue)
    }

    func pages(of shard: ScannedShard) -> any PageSource<JobRow> {
        if isNewestFirst { return NewestFailures(self, shard) }
        return JobPages(self, shard)
    }

    var description: String {
        let tenant = Self.shown(tenants)
        switch way {
        case .nothing: return "Nothing"
        case .ids(let ids) where ids.count == 1: return "ExactId(tenant=\(tenant), id=\"\(ids[0])\")"
        case .ids(let ids): return "ExactIds(tenant=\(tenant), ids=\(ids.count))"
        case .metadata(let key, let value, isPrefix: false):
            return "MetadataExact(tenant=\(tenant), key=\"\(key)\", value=\"\(value)\")"
        case .metadata(let key, let prefix, isPrefix: true):
            return "MetadataPrefix(tenant=\(tenant), key=\"\(key)\", prefix=\"\(prefix)\")"
        case .statuses(let statuses) where statuses.count == 1:
            return "Status(tenant=\(tenant), status=\(statuses[0].planName))"
        case .statuses(let statuses):
            let name = tenants.flatMap { $0.count == 1 ? "\"\($0[0])\"" : nil } ?? tenant
            return "StatusUnion(tenant=\(name), statuses=[\(statuses.map(\.planName).joined(separator: ", "))])"
        case .everything: return "FullScan(tenant=\(tenant))"
        }
    }

    static func shown(_ tenants: [Tenant]?) -> String {
        guard let tenants else { return "None" }
        return tenants.count == 1 ? "Some(\"\(tenants[0])\")" : "Some(\(tenants.count) tenants)"
    }
}

extension JobScan.Way {
    /// The first of these that a condition allows.
    fileprivate init(_ arguments: ScanArguments) {
        if let ids = arguments.texts(JobsTable.id)?.unique {
            self = ids.isEmpty ? .nothing : .ids(ids)
        } else if let metadata = JobsTable.byMetadata.first(where: { arguments.values[$0] != nil }) {
            let pair = arguments.texts(metadata)?.first.flatMap { MetadataPair($0) }
            self = pair.map { .metadata(key: $0.key, value: $0.value, isPrefix: metadata.comparison == .hasPrefix) } ?? .nothing
        } else if let statuses = arguments.texts(JobsTable.status) {
            let known = statuses.compactMap { ShownStatus(name: $0) }.unique
            self = known.isEmpty ? .nothing : .statuses(known)
        } else {
            self = .everything
        }
    }
}
