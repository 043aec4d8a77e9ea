import Foundation
import SiloCore

/// Reads one line of a tokens file, and collects what is wrong with it.
struct GrantReader {
    private let object: [String: Field]
    private(set) var mistakes: [String] = []

    static let nameScalarsMax = 64
    static let entriesMax = 1024
    static let rateRange = 1...1_000_000_000_000

    /// Nil: it is no JSON object.
    init?(_ line: String) {
        guard let object = try? JSONDecoder().decode([String: Field].self, from: Data(line.utf8)) else { return nil }
        self.object = object
        for key in object.keys.sorted() where !Grant.keys.contains(key) {
            mistakes.append("\(key) is no key: those are \(Grant.keys.joined(separator: ", "))")
        }
    }

    /// Nil: see `mistakes`.
    mutating func grant() -> Grant? {
        let name = name()
        let holder = holder()
        let roles = roles()
        let tenants = names("tenants")
        let groups = names("groups")
        let expires = expires()
        let limits = Allowance.Limits(
            requestsPerSecond: rate("requests_per_second"), bytesPerSecond: rate("bytes_per_second")
        )
        guard mistakes.isEmpty, let name, let holder, let roles, let tenants, let groups else { return nil }
        return Grant(
            name: name, holder: holder, roles: roles, tenants: tenants, groups: groups, expires: expires, limits: limits
        )
    }

    private mutating func refuse<T>(_ mistake: String) -> T? {
        mistakes.append(mistake)
        return nil
    }

    private mutating func name() -> String? {
        guard let name = object["name"]?.text, Self.isName(name, atMost: Self.nameScalarsMax) else {
            return refuse("name must be text of 1 to \(Self.nameScalarsMax) visible characters")
        }
        return name
    }

    private mutating func holder() -> Grant.Holder? {
        switch (object["hash"], object["certificate"]) {
        case (let hash?, nil):
            guard let hash = hash.text.flatMap(TokenHash.init) else {
                return refuse("hash must be \(TokenHash.prefix) and 64 digits of lower-case hex, as siloctl token new prints it")
            }
            return .token(hash)
        case (nil, let subject?):
            guard let subject = subject.text, Self.isName(subject, atMost: 1024), subject.contains(/[=:]/) else {
                return refuse(
                    "certificate must be a subject such as CN=billing,O=Acme, or DNS: or URI: and an alternative name")
            }
            return .certificate(subject)
        default:
            return refuse("one of hash and certificate is needed")
        }
    }

    private mutating func roles() -> [Role]? {
        let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
        guard let names = object["roles"]?.list, !names.isEmpty else {
            return refuse("roles must be a list of at least one of \(known)")
        }
        var roles: [Role] = []
        for name in names {
            if let role = Role(rawValue: name) {
                roles.append(role)
            } else {
                mistakes.append("\(name) is no role: those are \(known)")
            }
        }
        return roles
    }

    /// Absent is empty. An empty list would be taken for nobody by one reader and for everybody by another.
    private mutating func names(_ key: String) -> [String]? {
        guard let value = object[key] else { return [] }
        guard let names = value.list, (1...Self.entriesMax).contains(names.count),
            names.allSatisfy({ Self.isName($0, atMost: Tenant.nameScalarsMax) })
        else {
            return refuse(
                "\(key) must be a list of 1 to \(Self.entriesMax) names of 1 to \(Tenant.nameScalarsMax) visible characters; "
                    + "leave it out for all")
        }
        return names
    }

    private mutating func expires() -> Timestamp? {
        guard let value = object["expires"] else { return nil }
        let date = value.text.flatMap { try? Date($0, strategy: .iso8601) }
        // A year may have so many digits that no such number has room for it.
        guard let milliseconds = date.flatMap({ Int64(exactly: ($0.timeIntervalSince1970 * 1000).rounded()) }) else {
            return refuse("expires must be a time such as 2027-01-31T00:00:00Z")
        }
        return Timestamp(milliseconds)
    }

    private mutating func rate(_ key: String) -> Int? {
        guard let value = object[key] else { return nil }
        guard let number = value.number, Self.rateRange.contains(number) else {
            return refuse("\(key) must be a whole number from 1 to \(Self.rateRange.upperBound); leave it out for no bound")
        }
        return number
    }

    private static func isName(_ text: String, atMost count: Int) -> Bool {
        (1...count).contains(text.unicodeScalars.count)
            && text.unicodeScalars.allSatisfy { ![.control, .format].contains($0.properties.generalCategory) }
    }
}

/// The value of a key.
private enum Field: Decodable {
    case text(String), number(Int), list([String]), other

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let number = try? container.decode(Int.self) {
            self = .number(number)
        } else if let list = try? container.decode([String].self) {
            self = .list(list)
        } else {
            self = .other
        }
    }

    var text: String? { if case .text(let text) = self { text } else { nil } }
    var number: Int? { if case .number(let number) = self { number } else { nil } }
    var list: [String]? { if case .list(let list) = self { list } else { nil } }
}
