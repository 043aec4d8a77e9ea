private import CXXHash

/// Whose job it is. A tenant's jobs live on one shard; job ids and limit keys are scoped to it.
public struct Tenant: Identifier {
    public let name: String
    public init(_ name: String) { self.name = name }
    public var text: String { name }

    /// The one tenant of a server that runs without tenancy; never shown on the wire.
    public static let none = Tenant("-")

    /// The longest accepted name, in Unicode scalars.
    public static let nameScalarsMax = 64

    public var hash: TenantHash { TenantHash(of: name) }
}

/// Where a tenant lies in the routing space: XXH64 of its name's UTF-8 with seed 0 (spec/api.md 2.4).
public struct TenantHash: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let value: UInt64
    public init(_ value: UInt64) { self.value = value }

    public init(of name: String) {
        var name = name
        value = name.withUTF8 { cxxhash_xxh64($0.baseAddress, $0.count, 0) }
    }

    /// Sixteen lower-case hex digits, as they travel on the wire.
    public var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Sixteen hex digits; nil for anything else.
    public init?(text: String) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16), text.utf8.first != UInt8(ascii: "+") else { return nil }
        self.value = value
    }

    public var description: String { text }
    public static func < (left: TenantHash, right: TenantHash) -> Bool { left.value < right.value }
}
