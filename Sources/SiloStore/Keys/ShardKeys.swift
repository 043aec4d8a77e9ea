public import SiloCore

/// Keys of what a shard knows across its tenants: what is shard-wide, and the indexes at the head of each slice.
public enum ShardKeys {
    /// The format that this code reads and writes. A database of another one is refused.
    public static let formatVersion: UInt32 = 5

    public static let info: Bytes = [0x01, 0x01]
    public static let slices: Bytes = [0x01, 0x02]

    /// What is paused for all tenants.
    public static let pauses: (start: Bytes, end: Bytes) = ([0x01, Family.pause.rawValue], [0x01, Family.pause.rawValue + 1])

    /// Where a row that cannot be read is set aside, so that it blocks nobody and is not lost.
    public static func setAside(_ key: Bytes) -> Bytes {
        (Slice(of: key)?.prefix ?? [0x01]) + [Family.setAside.rawValue] + key
    }

    public static func queue(_ tenant: Tenant, _ group: TaskGroup) -> Bytes {
        var key = index(.queue, tenant)
        key.append(group.text)
        return key.bytes
    }

    public static func line(_ tenant: Tenant, _ id: LineID) -> Bytes {
        var key = index(.line, tenant)
        key.append(id.hash.high)
        key.append(id.hash.low)
        return key.bytes
    }

    /// The lines of one tenant.
    public static func lines(of tenant: Tenant) -> (start: Bytes, end: Bytes) {
        let prefix = index(.line, tenant).bytes
        return (prefix, Slice.successor(of: prefix))
    }

    public static func refresh(_ tenant: Tenant, _ limit: LimitKey) -> Bytes {
        var key = index(.refresh, tenant)
        key.append(limit.text)
        return key.bytes
    }

    public static func tenantState(_ tenant: Tenant) -> Bytes { index(.tenantState, tenant).bytes }

    public static func pause(_ target: PauseTarget) -> Bytes {
        var key = target.tenant.map { index(.pause, $0) } ?? KeyEncoder(pauses.start)
        key.append(target.kind)
        key.append(target.name)
        return key.bytes
    }

    /// What a key of an index says; nil when it is malformed, or of no index.
    public enum Index: Equatable, Sendable {
        case queue(Tenant, TaskGroup)
        case refresh(Tenant, LimitKey)
        case tenantState(Tenant)
        case pause(PauseTarget)
        case line(Tenant, LineID)
    }

    public static func parse(_ key: Bytes) -> Index? {
        guard Slice(of: key) != nil else { return parseShardWide(key) }
        var decoder = KeyDecoder(key, after: 2)
        guard let family = decoder.byte().flatMap(Family.init), decoder.uint64() != nil, let name = decoder.text() else {
            return nil
        }
        let tenant = Tenant(name)
        switch family {
        case .queue: return decoder.text().map { .queue(tenant, TaskGroup($0)) }
        case .refresh: return decoder.text().map { .refresh(tenant, LimitKey($0)) }
        case .tenantState: return .tenantState(tenant)
        case .pause: return decoder.pause(of: tenant).map { .pause($0) }
        case .line: return decoder.line().map { .line(tenant, $0) }
        default: return nil
        }
    }

    /// The tenant and the job of a lease's key; nil when it is malformed.
    public static func parseLease(_ key: Bytes) -> (tenant: Tenant, job: JobID)? {
        var decoder = KeyDecoder(key, after: 3)
        guard decoder.uint64() != nil, let tenant = decoder.text(), let job = decoder.text() else { return nil }
        return (Tenant(tenant), JobID(job))
    }

    private static func parseShardWide(_ key: Bytes) -> Index? {
        guard key.starts(with: pauses.start) else { return nil }
        var decoder = KeyDecoder(key, after: pauses.start.count)
        return decoder.pause(of: nil).map { .pause($0) }
    }

    private static func index(_ family: Family, _ tenant: Tenant) -> KeyEncoder {
        let hash = tenant.hash
        var key = KeyEncoder(Slice(of: hash).prefix)
        key.append(family.rawValue)
        key.append(hash.value)
        key.append(tenant.name)
        return key
    }
}

extension KeyDecoder {
    fileprivate mutating func pause(of tenant: Tenant?) -> PauseTarget? {
        guard let kind = byte(), let name = text() else { return nil }
        return PauseTarget(kind: kind, tenant: tenant, name: name)
    }

    mutating func line() -> LineID? {
        guard let high = uint64(), let low = uint64() else { return nil }
        return LineID(Hash128(high: high, low: low))
    }
}
