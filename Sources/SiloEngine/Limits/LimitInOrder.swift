import SiloCore

/// A limit where it stands among all that memory holds: by hashes of its tenant and its name, so that comparing two is cheap.
struct LimitInOrder: Comparable {
    let limit: Limit
    let tenant: TenantHash
    private let name: UInt64

    init(_ limit: Limit) {
        self.limit = limit
        tenant = limit.id.tenant.hash
        name = limit.id.nameHash
    }

    var place: LimitPlace { LimitPlace(tenant: tenant, name: name, id: limit.id) }

    static func == (left: LimitInOrder, right: LimitInOrder) -> Bool {
        left.name == right.name && left.limit.id == right.limit.id
    }
    static func < (left: LimitInOrder, right: LimitInOrder) -> Bool {
        if left.tenant != right.tenant { return left.tenant < right.tenant }
        return left.name != right.name ? left.name < right.name : left.place < right.place
    }
}

/// The same of a limit that may be gone.
struct LimitPlace: Comparable, Sendable {
    fileprivate let tenant: TenantHash
    fileprivate let name: UInt64
    fileprivate let id: Limit.ID

    static func < (left: LimitPlace, right: LimitPlace) -> Bool {
        if left.tenant != right.tenant { return left.tenant < right.tenant }
        if left.name != right.name { return left.name < right.name }
        return left.id.parts.lexicographicallyPrecedes(right.id.parts)
    }
}

extension Limit.ID {
    /// What no two limits have in common.
    fileprivate var parts: [String] {
        switch self {
        case .slots(let tenant, let key): [tenant.name, key.text]
        case .bucket(let tenant, let name, let key): [tenant.name, name.text, key.text]
        }
    }

    fileprivate var nameHash: UInt64 {
        switch self {
        case .slots(_, let key): key.text.checksum(seed: 0)
        case .bucket(_, let name, let key): key.text.checksum(seed: name.text.checksum(seed: 1))
        }
    }
}

extension String {
    fileprivate func checksum(seed: UInt64) -> UInt64 {
        var text = self
        return text.withUTF8 { Checksum64.of(UnsafeRawBufferPointer($0), seed: seed) }
    }
}
