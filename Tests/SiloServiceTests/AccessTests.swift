import SiloAPI
import SiloAccess
import SiloCore
import SiloTesting
import Testing

@testable import SiloService

@Suite(.timeLimit(.minutes(10))) struct AccessTests {
    private let clock = ManualClock()

    private func caller(
        _ access: Access, _ authorization: String?, certificate: [String] = []
    ) throws(SiloError) -> Caller {
        try access.caller(.init(authorization: authorization.map { Array($0.utf8) }, certificateNames: { certificate }))
    }

    private func grant(_ name: String, _ token: String, _ roles: [Role] = [.read], expires: Timestamp? = nil) -> Grant {
        Grant(name: name, holder: .token(TokenHash(of: token.utf8)), roles: roles, expires: expires)
    }

    @Test func withoutATokenAnybodyMayCall() throws {
        let access = Access(clock: clock)
        #expect(access.isOpen)
        #expect(try caller(access, nil) === Caller.anonymous)
        #expect(try caller(access, "nonsense") === Caller.anonymous)
    }

    @Test(arguments: [
        (nil, "missing authorization header"), ("Bearer s3cret\u{7f}", "invalid authorization header"),
        ("Bearer wrong", "invalid auth token"), ("Bearer s3cre", "invalid auth token"), ("Bearer s3crett", "invalid auth token"),
        ("s3cret", "invalid auth token"), ("bearer s3cret", "invalid auth token"), ("Bearer ", "invalid auth token"),
        ("Bearer  s3cret", "invalid auth token"), ("Bearer s3cret", nil), ("Bearer tok", nil),
    ] as [(String?, String?)])
    func theTokenIsAskedFor(_ header: String?, _ refusal: String?) {
        let access = Access(secret: "s3cret", grants: [grant("ci", "tok")], clock: clock)
        #expect(!access.isOpen)
        var said: SiloError?
        do throws(SiloError) { _ = try caller(access, header) } catch { said = error }
        #expect(said == refusal.map { .unauthenticated($0) })
    }

    @Test func theSharedSecretIsAnAdministrators() throws {
        let access = Access(secret: "s3cret", clock: clock)
        #expect(try caller(access, "Bearer s3cret").roles.contains(.admin))
    }

    @Test func tokensComeAndGoWhileTheServerRuns() throws {
        let access = Access(grants: [grant("old", "a")], clock: clock)
        #expect(try caller(access, "Bearer a").name == "old")
        access.replace(secret: nil, [grant("old", "a"), grant("new", "b", [.operate])])
        #expect(try caller(access, "Bearer b").name == "new")
        access.replace(secret: nil, [grant("new", "b", [.operate])])
        #expect(throws: SiloError.unauthenticated("invalid auth token")) { try caller(access, "Bearer a") }
    }

    @Test func aSecretIsReplacedWhileTheTokensOfBeforeGoOn() throws {
        let access = Access(secret: "old", grants: [grant("ci", "a")], clock: clock)
        access.replace(secret: "new")
        #expect(try caller(access, "Bearer new").roles.contains(.admin))
        #expect(try caller(access, "Bearer a").name == "ci")
        #expect(throws: SiloError.unauthenticated("invalid auth token")) { try caller(access, "Bearer old") }
    }

    @Test func aTokenEndsWhenItSays() throws {
        let access = Access(grants: [grant("ci", "a", expires: clock.now + 1000)], clock: clock)
        #expect(try caller(access, "Bearer a").name == "ci")
        clock.advance(milliseconds: 1000)
        #expect(throws: SiloError.unauthenticated("token 'ci' has expired")) { try caller(access, "Bearer a") }
    }

    @Test func aCertificateShowsWhoCalls() throws {
        let billing = Grant(name: "billing", holder: .certificate("CN=billing,O=Acme"), roles: [.enqueue])
        let mail = Grant(name: "mail", holder: .certificate("URI:spiffe://acme/mail"), roles: [.work])
        let access = Access(grants: [billing, mail, grant("ci", "a")], asksForCertificate: true, clock: clock)
        #expect(try caller(access, nil, certificate: ["CN=billing,O=Acme", "DNS:b"]).name == "billing")
        #expect(try caller(access, nil, certificate: ["CN=x", "DNS:m", "URI:spiffe://acme/mail"]).name == "mail")
        #expect(try caller(access, "Bearer a", certificate: ["CN=billing,O=Acme"]).name == "ci")
        // A certificate that nobody knows is no way in where tokens are asked for.
        #expect(throws: SiloError.unauthenticated("missing authorization header")) {
            try caller(access, nil, certificate: ["CN=stranger"])
        }
        // Names are of certificates that were asked for, and nothing else.
        let other = Access(grants: [billing], clock: clock)
        #expect(throws: SiloError.unauthenticated("missing authorization header")) {
            try caller(other, nil, certificate: ["CN=billing,O=Acme"])
        }
    }

    @Test func whereACertificateIsAllThatIsAskedForItIsEnough() throws {
        let access = Access(asksForCertificate: true, clock: clock)
        let caller = try caller(access, nil, certificate: ["CN=ops"])
        #expect(caller.name == "CN=ops" && caller.proof == .certificate && caller.roles.contains(.admin))
    }

    // MARK: Roles

    @Test func certificatesWhoseNamesLookAlikeAreTwo() throws {
        // The sign of the kelvin is a K to Unicode.
        let grants = [("CN=K", "k"), ("CN=\u{e9}", "one"), ("CN=e\u{301}", "two")].map { subject, name in
            Grant(name: name, holder: .certificate(subject), roles: [.read])
        }
        let access = Access(grants: grants, asksForCertificate: true, clock: clock)
        for (subject, name) in [("CN=K", "k"), ("CN=\u{e9}", "one"), ("CN=e\u{301}", "two")] {
            #expect(try caller(access, nil, certificate: [subject]).name == name)
        }
        #expect(throws: SiloError.self) { try caller(access, nil, certificate: ["CN=\u{212a}"]) }
    }

    @Test func rolesIncludeOthers() {
        let included: [Role: [Role]] = [
            .read: [.read], .work: [.work], .enqueue: [.enqueue], .operate: [.read, .work, .enqueue, .operate],
            .admin: Role.allCases,
        ]
        for role in Role.allCases {
            let roles = Roles([role])
            #expect(Role.allCases.filter { roles.contains($0) } == included[role], "\(role)")
        }
        #expect(Role.allCases.filter { Roles([.read, .enqueue]).contains($0) } == [.read, .enqueue])
    }

    @Test func everyMethodHasItsLeastRole() {
        let prefix = SiloV1.Silo.name + "."
        let methods = SiloV1.symbols.filter { $0.hasPrefix(prefix) }.map { "/\(SiloV1.Silo.name)/\($0.dropFirst(prefix.count))" }
        #expect(methods.count > 30)
        #expect(Set(MethodAccess.table.keys) == Set(methods))
    }

    @Test func theAuditLogNamesTenantsThatLookAlikeEach() {
        var request = SiloV1.ImportJobsRequest()
        request.jobs = ["e\u{301}", "\u{e9}", "a", "a"].map { tenant in
            var job = SiloV1.ImportJobRequest()
            job.tenant = tenant
            return job
        }
        let tenants = request.auditFields.first { $0.0 == "tenant" }?.1
        #expect(tenants?.hasSameBytes(as: "a,e\u{301},\u{e9}") == true)
    }

    /// One character may have any number of bytes.
    @Test func whatARefusedRequestNamesIsCutByItsBytes() {
        var request = SiloV1.CancelJobRequest()
        request.id = "a" + String(repeating: "\u{301}", count: 100_000)
        let id = request.auditFields.first { $0.0 == "job" }?.1
        #expect((1000...1030).contains(id?.utf8.count ?? 0))
    }

    @Test func whatNobodyThoughtOfIsForAdministrators() {
        let unknown = MethodAccess.of("/silo.v1.Silo/Future")
        #expect(unknown.role == .admin && unknown.reach == .all && unknown.isAdministrative)
    }

    @Test(arguments: Role.allCases) func aRoleMayCallWhatItIsFor(_ role: Role) throws {
        let access = Access(clock: clock)
        for (path, method) in MethodAccess.table {
            for caller in [
                Caller(name: "a", proof: .token, roles: Roles([role])),
                Caller(name: "b", proof: .token, roles: Roles([role]), tenants: [Tenant("t")]),
                Caller(name: "c", proof: .token, roles: Roles([role]), groups: [TaskGroup("g")]),
            ] {
                let isEnough = method.role.map { role.included.contains($0) } ?? true
                let isAllowed = isEnough && (caller.isUnbound || method.reach != .all)
                var denied = false
                do throws(SiloError) {
                    try access.admit(caller, to: method)
                } catch {
                    if case .denied = error { denied = true } else { Issue.record("\(path): \(error)") }
                }
                #expect(denied != isAllowed, "\(path) by \(role), \(caller.name)")
            }
        }
    }

    // MARK: Allowances

    @Test func whoAsksForTooMuchIsToldWhenToComeBack() throws {
        var grant = grant("ci", "a", [.enqueue, .work])
        grant.limits.requestsPerSecond = 10
        let access = Access(grants: [grant], clock: clock)
        let ci = try caller(access, "Bearer a")
        let (enqueue, heartbeat) = (
            MethodAccess.of("/silo.v1.Silo/Enqueue"), MethodAccess.of("/silo.v1.Silo/Heartbeat")
        )
        for _ in 0..<10 { try access.admit(ci, to: enqueue) }
        let tooMuch = SiloError.tooMuch("token 'ci' asks for more than it may", retryAfterMilliseconds: 100)
        #expect(throws: tooMuch) { try access.admit(ci, to: enqueue) }
        // A lease is not lost for want of room, but is paid for.
        try access.admit(ci, to: heartbeat)
        clock.advance(milliseconds: 100)
        #expect(throws: tooMuch) { try access.admit(ci, to: enqueue) }
        clock.advance(milliseconds: 100)
        try access.admit(ci, to: enqueue)
        // A batch of 21 is paid for afterwards.
        clock.advance(milliseconds: 1000)
        try access.admit(ci, to: enqueue)
        access.pay(for: ci, entries: 21, bytes: 5)
        #expect(throws: SiloError.tooMuch("token 'ci' asks for more than it may", retryAfterMilliseconds: 1200)) {
            try access.admit(ci, to: enqueue)
        }
        // What is read anew and says the same does not begin anew.
        access.replace(secret: nil, [grant])
        #expect(throws: SiloError.self) { try access.admit(try caller(access, "Bearer a"), to: enqueue) }
        grant.limits.requestsPerSecond = 20
        access.replace(secret: nil, [grant])
        try access.admit(try caller(access, "Bearer a"), to: enqueue)
    }

    @Test func bytesCountToo() throws {
        let allowance = Allowance(.init(bytesPerSecond: 1000))
        #expect(allowance.take(at: clock.steady) == nil)
        allowance.pay(requests: 0, bytes: 3000, at: clock.steady)
        #expect(allowance.take(at: clock.steady) == 2001)
        clock.advance(milliseconds: 2001)
        #expect(allowance.take(at: clock.steady) == nil)
        // Nobody is shut out for more than a minute.
        allowance.pay(requests: 0, bytes: .max, at: clock.steady)
        let wait = try #require(allowance.take(at: clock.steady))
        #expect(wait <= 60_001)
    }
}
