public import SiloCore

/// About a minute of the wall clock: retention looks at tenants whose jobs ended in one, not at all.
public struct FinishedPeriod: Hashable, Sendable {
    public let number: UInt64

    /// The one that a time lies in.
    public init(of time: Timestamp) { number = time.sortable >> Self.bits }

    init?(number: UInt64) {
        guard number >> (63 - Self.bits) == 0 else { return nil }
        self.number = number
    }

    /// 65,536 ms.
    private static let bits = 16

    public var first: Timestamp { Timestamp(Int64(number << Self.bits)) }
    public var last: Timestamp { Timestamp(first.milliseconds | (1 << Self.bits - 1)) }
}

extension Slice {
    /// Tenants that had jobs end so, oldest period first.
    public func periods(_ state: UInt8) -> (start: Bytes, end: Bytes) {
        (prefix + [Family.period.rawValue, state], prefix + [Family.period.rawValue, state + 1])
    }

    /// Tenants that had jobs end in any way.
    public var periods: (start: Bytes, end: Bytes) { range(.period) }

    /// Jobs that go at times of their own, first those that go first.
    public var keptUntil: (start: Bytes, end: Bytes) { range(.keptUntil) }

    /// The same of those that go by a time.
    public func keptUntil(by time: Timestamp) -> (start: Bytes, end: Bytes) {
        var end = KeyEncoder([], reserving: 16)
        end.append(time.sortable + 1)
        return (keptUntil.start, keptUntil.start + end.bytes)
    }
}

/// Keys of the indexes of finished jobs that lie across the tenants of a slice. Each is nil at a malformed key.
public enum RetainedKeys {
    public static func parsePeriod(_ key: Bytes) -> (state: UInt8, period: FinishedPeriod, tenant: Tenant)? {
        var decoder = KeyDecoder(key, after: 3)
        guard let state = decoder.byte(), let period = decoder.uint64().flatMap(FinishedPeriod.init), decoder.uint64() != nil,
            let tenant = decoder.text()
        else { return nil }
        return (state, period, Tenant(tenant))
    }

    public static func parseKeptUntil(_ key: Bytes) -> (until: Timestamp, tenant: Tenant, job: JobID)? {
        var decoder = KeyDecoder(key, after: 3)
        guard let until = decoder.uint64(), decoder.uint64() != nil, let tenant = decoder.text(), let job = decoder.text()
        else { return nil }
        return (Timestamp(Int64(clamping: until)), Tenant(tenant), JobID(job))
    }
}
