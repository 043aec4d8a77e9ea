public import SiloCore
import SiloStore

/// Whose jobs a bulk action is about.
public enum BulkScope: Equatable, Sendable {
    case everybody
    /// At least one.
    case these([Tenant])

    /// - Parameter tenants: nil: everybody.
    public init(_ tenants: [Tenant]?) { self = tenants.map { .these($0) } ?? .everybody }

    /// Nil: everybody.
    public var tenants: [Tenant]? {
        switch self {
        case .everybody: nil
        case .these(let tenants): tenants
        }
    }

    /// Whether all that the other is about is within it.
    func covers(_ other: BulkScope) -> Bool {
        guard case .these(let own) = self else { return true }
        guard case .these(let others) = other else { return false }
        return Set(own).isSuperset(of: others)
    }

    /// What both are about together.
    func union(_ other: BulkScope) -> BulkScope {
        guard case .these(let own) = self, case .these(let others) = other else { return .everybody }
        return .these(Set(own).union(others).sorted())
    }
}

extension StorageV1.BulkAction {
    /// As it is stored, no tenants are everybody.
    package var scope: BulkScope {
        get { tenants.isEmpty ? .everybody : .these(tenants.map { Tenant($0) }) }
        set { tenants = newValue.tenants?.map(\.name) ?? [] }
    }
}
