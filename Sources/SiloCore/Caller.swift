/// Who calls: a name for logs, and what it may do. One object for all calls of the same token.
public final class Caller: Sendable {
    /// How it showed who it is.
    public enum Proof: String, Sendable {
        /// It showed nothing, and nothing was asked for.
        case nothing
        /// A secret in its headers.
        case token
        /// The certificate of its connection.
        case certificate
        /// It is this server.
        case server
    }

    public let name: String
    public let proof: Proof
    public let roles: Roles
    /// Whose jobs it may touch; nil: everybody's.
    public let tenants: Set<Tenant>?
    /// Of which task groups; nil: of all.
    public let groups: Set<TaskGroup>?
    /// How much it may ask for; nil: as much as it likes.
    public let allowance: Allowance?

    public init(
        name: String, proof: Proof, roles: Roles, tenants: Set<Tenant>? = nil, groups: Set<TaskGroup>? = nil,
        allowance: Allowance? = nil
    ) {
        self.name = name
        self.proof = proof
        self.roles = roles
        self.tenants = tenants
        self.groups = groups
        self.allowance = allowance
    }

    /// As messages name it, such as `token 'ci'`.
    public var title: String { proof == .nothing ? name : "\(proof) '\(name)'" }

    /// What a title was made of.
    public static func parts(ofTitle title: String) -> (name: String, proof: Proof) {
        for proof in [Proof.token, .certificate, .server] where title.hasPrefix("\(proof) '") && title.hasSuffix("'") {
            return (String(title.dropFirst("\(proof) '".count).dropLast()), proof)
        }
        return (title, .nothing)
    }

    /// It may touch what is of all tenants and groups.
    public var isUnbound: Bool { tenants == nil && groups == nil }

    public static let anonymous = Caller(name: "anonymous", proof: .nothing, roles: .all)
    /// Who may do nothing at all.
    public static let nobody = Caller(name: "nobody", proof: .nothing, roles: [], tenants: [], groups: [])
    /// Whoever has the secret that all callers share.
    public static let sharedSecret = Caller(name: "shared secret", proof: .token, roles: .all)
    /// What the server does on its own account.
    public static let server = Caller(name: "server", proof: .server, roles: .all)
}
