import SiloCore

/// What a worker asks for: work of a task group, whoever's it is or of one tenant.
struct WorkKind: Hashable, Comparable {
    let group: TaskGroup
    /// Nil: whoever's.
    let tenant: Tenant?

    init(_ group: TaskGroup, of tenant: Tenant? = nil) {
        self.group = group
        self.tenant = tenant
    }

    /// Of one group, first those of workers that could take nothing else.
    static func < (left: WorkKind, right: WorkKind) -> Bool {
        if left.group != right.group { return left.group < right.group }
        guard let tenant = left.tenant else { return false }
        return right.tenant.map { tenant < $0 } ?? true
    }
}

extension Lease {
    /// One, or one for each tenant.
    var kinds: [WorkKind] { tenants.map { $0.map { WorkKind(group, of: $0) } } ?? [WorkKind(group)] }
}
