package import SiloAccess
package import SiloCore
import Synchronization

/// Knows who calls, and whether it may. What it knows can be replaced while the server runs.
package final class Access: Sendable {
    /// What came with a call.
    package struct Credentials {
        /// The header, as it came; nil: there is none.
        let authorization: [UInt8]?
        /// Whom the certificate of the connection names; asked for where there is no header.
        let certificateNames: () -> [String]

        package init(authorization: [UInt8]?, certificateNames: @escaping () -> [String] = { [] }) {
            self.authorization = authorization
            self.certificateNames = certificateNames
        }
    }

    private let directory: Mutex<Directory>
    private let clock: any Clock
    /// Whether callers show a certificate, which is enough where nothing else is asked for.
    private let asksForCertificate: Bool
    private let asksForToken: Bool

    /// - Parameters:
    ///   - secret: that all callers may share; it is an administrator's.
    ///   - grants: of a tokens file; nil: there is none, and none can come while the server runs.
    package init(secret: String? = nil, grants: [Grant]? = nil, asksForCertificate: Bool = false, clock: any Clock) {
        let hash = secret.map { TokenHash(of: $0.utf8) }
        self.clock = clock
        self.asksForCertificate = asksForCertificate
        asksForToken = hash != nil || grants != nil
        directory = Mutex(Directory(hash, grants ?? [], replacing: nil))
    }

    /// Nobody is asked who it is.
    package var isOpen: Bool { !asksForToken && !asksForCertificate }

    /// Callers may show tokens.
    package var knowsTokens: Bool { asksForToken }

    /// Knows these from now on, where it asked for tokens before. Allowances go on where they were.
    /// - Parameter grants: nil: those of before.
    package func replace(secret: String?, _ grants: [Grant]? = nil) {
        let hash = secret.map { TokenHash(of: $0.utf8) }
        directory.withLock { $0 = Directory(hash, grants ?? $0.grants, replacing: $0) }
    }

    /// Who calls.
    /// - Throws: `.unauthenticated`.
    package func caller(_ credentials: Credentials) throws(SiloError) -> Caller {
        guard asksForToken, let authorization = credentials.authorization else {
            return try caller(of: credentials.certificateNames)
        }
        guard authorization.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            throw .unauthenticated("invalid authorization header")
        }
        guard authorization.starts(with: Self.prefix) else { throw .unauthenticated("invalid auth token") }
        return try caller(authorization.withUnsafeBytes { TokenHash(of: .init(rebasing: $0.dropFirst(Self.prefix.count))) })
    }

    /// Who shows the token with this hash.
    /// - Throws: `.unauthenticated`.
    package func caller(_ hash: TokenHash) throws(SiloError) -> Caller {
        guard let entry = directory.withLock({ $0.tokens[hash] }) else { throw .unauthenticated("invalid auth token") }
        return try valid(entry)
    }

    /// Whether a caller may call a method now.
    /// - Throws: `.denied` or `.tooMuch`.
    package func admit(_ caller: Caller, to method: MethodAccess) throws(SiloError) {
        try caller.check(method)
        guard let allowance = caller.allowance else { return }
        if method.keepsLease {
            allowance.pay(requests: 1, bytes: 0, at: clock.steady)
        } else if let wait = allowance.take(at: clock.steady) {
            throw .tooMuch("\(caller.title) asks for more than it may", retryAfterMilliseconds: wait)
        }
    }

    /// A call's request was read.
    package func pay(for caller: Caller, entries: Int, bytes: Int) {
        guard let allowance = caller.allowance else { return }
        allowance.pay(requests: max(0, entries - 1), bytes: bytes, at: clock.steady)
    }

    private static let prefix = Array("Bearer ".utf8)

    private func caller(of certificateNames: () -> [String]) throws(SiloError) -> Caller {
        if asksForCertificate {
            let names = certificateNames()
            let known = directory.withLock { $0.certificates }
            if let entry = names.lazy.compactMap({ known[ExactText($0)] }).first { return try valid(entry) }
            // The authority vouches for it, and nobody asks for more.
            if !asksForToken { return Caller(name: names.first ?? "", proof: .certificate, roles: .all) }
        }
        guard !asksForToken else { throw .unauthenticated("missing authorization header") }
        return .anonymous
    }

    private func valid(_ entry: Directory.Entry) throws(SiloError) -> Caller {
        if let expires = entry.expires, clock.now >= expires {
            throw .unauthenticated("\(entry.caller.title) has expired")
        }
        return entry.caller
    }
}

/// Who is known, at one time.
private struct Directory {
    struct Entry {
        let caller: Caller
        let expires: Timestamp?
    }
    private(set) var tokens: [TokenHash: Entry] = [:]
    private(set) var certificates: [ExactText: Entry] = [:]
    let grants: [Grant]
    private var allowances: [ExactText: Allowance] = [:]

    /// - Parameter old: whose allowances go on where they were, for those that keep their name and limits.
    init(_ secret: TokenHash?, _ grants: [Grant], replacing old: Directory?) {
        self.grants = grants
        if let secret { tokens[secret] = Entry(caller: .sharedSecret, expires: nil) }
        for grant in grants {
            let caller = Caller(grant, allowance(of: grant, old))
            let entry = Entry(caller: caller, expires: grant.expires)
            switch grant.holder {
            case .token(let hash): tokens[hash] = entry
            case .certificate(let name): certificates[ExactText(name)] = entry
            }
        }
    }

    private mutating func allowance(of grant: Grant, _ old: Directory?) -> Allowance? {
        guard !grant.limits.isUnlimited else { return nil }
        let kept = old?.allowances[ExactText(grant.name)].flatMap { $0.limits == grant.limits ? $0 : nil }
        let allowance = kept ?? Allowance(grant.limits)
        allowances[ExactText(grant.name)] = allowance
        return allowance
    }
}

extension Caller {
    fileprivate convenience init(_ grant: Grant, _ allowance: Allowance?) {
        let isToken = if case .token = grant.holder { true } else { false }
        self.init(
            name: grant.name, proof: isToken ? .token : .certificate, roles: Roles(grant.roles),
            tenants: grant.tenants.isEmpty ? nil : Set(grant.tenants.map { Tenant($0) }),
            groups: grant.groups.isEmpty ? nil : Set(grant.groups.map { TaskGroup($0) }), allowance: allowance
        )
    }
}
