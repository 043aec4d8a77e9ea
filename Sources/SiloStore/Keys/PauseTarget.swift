public import SiloCore

/// What a pause stops.
public enum PauseTarget: Hashable, Sendable {
    /// Every job of a tenant.
    case tenant(Tenant)
    /// A tenant's jobs of a task group; those of all tenants when no tenant is named.
    case group(TaskGroup, of: Tenant?)
    /// A tenant's jobs that need a slot of a concurrency limit.
    case limit(LimitKey, of: Tenant)

    var kind: UInt8 {
        switch self {
        case .tenant: 1
        case .group: 2
        case .limit: 3
        }
    }

    /// The tenant; nil when it is all of them.
    public var tenant: Tenant? {
        switch self {
        case .tenant(let tenant), .limit(_, let tenant): tenant
        case .group(_, let tenant): tenant
        }
    }

    var name: String {
        switch self {
        case .tenant: ""
        case .group(let group, _): group.text
        case .limit(let key, _): key.text
        }
    }

    init?(kind: UInt8, tenant: Tenant?, name: String) {
        switch (kind, tenant) {
        case (1, let tenant?): self = .tenant(tenant)
        case (2, _): self = .group(TaskGroup(name), of: tenant)
        case (3, let tenant?): self = .limit(LimitKey(name), of: tenant)
        default: return nil
        }
    }
}

extension PauseTarget: Comparable {
    public static func < (left: PauseTarget, right: PauseTarget) -> Bool {
        guard left.kind == right.kind else { return left.kind < right.kind }
        let (one, other) = (left.tenant ?? Tenant(""), right.tenant ?? Tenant(""))
        return one == other ? LimitKey(left.name) < LimitKey(right.name) : one < other
    }
}
