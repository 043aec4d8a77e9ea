import Foundation
public import SiloCore

/// What one line of a tokens file grants, and to whom.
public struct Grant: Equatable, Sendable {
    /// Whom it is for.
    public enum Holder: Hashable, Sendable {
        /// Whoever shows the token with this hash.
        case token(TokenHash)
        /// Whoever has a certificate of the servers' authority for this subject, `CN=billing,O=Acme` as RFC 2253 writes it, or
        /// for this alternative name, `DNS:billing.example` or `URI:spiffe://example/billing`.
        case certificate(String)
    }

    /// For the audit log and other log lines; no two grants of a file have the same.
    public var name: String
    public var holder: Holder
    public var roles: [Role]
    /// Whose jobs it may touch; empty: everybody's.
    public var tenants: [String]
    /// Of which task groups; empty: of all.
    public var groups: [String]
    /// From when on it is worth nothing; nil: never.
    public var expires: Timestamp?
    public var limits: Allowance.Limits

    public init(
        name: String, holder: Holder, roles: [Role], tenants: [String] = [], groups: [String] = [], expires: Timestamp? = nil,
        limits: Allowance.Limits = Allowance.Limits()
    ) {
        self.name = name
        self.holder = holder
        self.roles = roles
        self.tenants = tenants
        self.groups = groups
        self.expires = expires
        self.limits = limits
    }
}

extension Grant {
    static let keys = [
        "name", "hash", "certificate", "roles", "tenants", "groups", "expires", "requests_per_second", "bytes_per_second",
    ]

    /// The line of a tokens file, without its end.
    public var line: String {
        var fields: [(String, String)] = [("name", Self.quoted(name))]
        switch holder {
        case .token(let hash): fields.append(("hash", Self.quoted(hash.description)))
        case .certificate(let subject): fields.append(("certificate", Self.quoted(subject)))
        }
        fields.append(("roles", Self.list(roles.map(\.rawValue))))
        if !tenants.isEmpty { fields.append(("tenants", Self.list(tenants))) }
        if !groups.isEmpty { fields.append(("groups", Self.list(groups))) }
        if let expires {
            let date = Date(timeIntervalSince1970: Double(expires.milliseconds) / 1000)
            fields.append(("expires", Self.quoted(date.formatted(.iso8601))))
        }
        if let count = limits.requestsPerSecond { fields.append(("requests_per_second", String(count))) }
        if let count = limits.bytesPerSecond { fields.append(("bytes_per_second", String(count))) }
        return "{" + fields.map { "\(Self.quoted($0)):\($1)" }.joined(separator: ",") + "}"
    }

    private static func list(_ texts: [String]) -> String { "[" + texts.map(quoted).joined(separator: ",") + "]" }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20: result += String(format: "\\u%04x", scalar.value)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
