/// The tenants of one shard: hashes from `start` up to, not including, `end`. A nil bound is open (spec/api.md 2.4).
public struct ShardRange: Hashable, Sendable {
    public let start: TenantHash?
    public let end: TenantHash?

    public init(start: TenantHash?, end: TenantHash?) {
        self.start = start
        self.end = end
    }

    public static let all = ShardRange(start: nil, end: nil)

    public func contains(_ hash: TenantHash) -> Bool {
        if let start, hash < start { return false }
        if let end, hash >= end { return false }
        return true
    }

    /// Cuts the whole space into `count` ranges of equal size, in order. `count` below 1 counts as 1.
    public static func even(_ count: Int) -> [ShardRange] {
        let count = UInt64(max(1, count))
        // floor(index * 2^64 / count)
        let bounds: [TenantHash?] = (1..<count).map { TenantHash(count.dividingFullWidth((high: $0, low: 0)).quotient) }
        return zip([nil] + bounds, bounds + [nil]).map { ShardRange(start: $0, end: $1) }
    }
}

extension ShardRange: CustomStringConvertible {
    public var description: String { "[\(start?.text ?? "-∞"), \(end?.text ?? "+∞"))" }
}
