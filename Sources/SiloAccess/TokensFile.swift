import SiloCore

/// A tokens file: a JSON object on each line, empty lines, and lines that begin with `#`. It is read whole or not at all.
public struct TokensFile: Sendable {
    public let grants: [Grant]

    public static let bytesMax = 4 << 20
    public static let grantsMax = 10_000

    /// All that is wrong with a file, each with its line.
    public struct Mistakes: Error, Equatable, Sendable, CustomStringConvertible {
        public let all: [String]
        private static let shownMax = 20

        public var description: String {
            let rest = all.count - Self.shownMax
            return (all.prefix(Self.shownMax) + (rest > 0 ? ["and \(rest) more"] : [])).joined(separator: "; ")
        }
    }

    /// - Parameter tenancy: whether requests name tenants; without that a token bound to tenants could do nothing.
    public init(_ text: String, tenancy: Bool = true) throws(Mistakes) {
        // A file that is being written ends anywhere, and most likely within a line.
        guard text.isEmpty || text.utf8.last == UInt8(ascii: "\n") else {
            throw Mistakes(all: ["the last line has no end: it may be half written"])
        }
        var mistakes: [String] = []
        var grants: [Grant] = []
        var seen: [ExactText: Int] = [:]
        // By bytes: to Swift a carriage return and a line end are one character.
        for (index, bytes) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let line = String(decoding: bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes, as: UTF8.self)
            guard line.contains(where: { $0 != " " && $0 != "\t" }), !line.hasPrefix("#") else { continue }
            let place = "line \(index + 1)"
            let found = Self.read(line, tenancy: tenancy)
            mistakes += found.mistakes.map { "\(place): \($0)" }
            guard let grant = found.grant else { continue }
            for (what, id) in [("name", "name \(grant.name)"), (grant.holder.word, "\(grant.holder)")] {
                let id = ExactText(id)
                if let first = seen[id] { mistakes.append("\(place): the \(what) is that of line \(first)") }
                seen[id] = index + 1
            }
            grants.append(grant)
        }
        if grants.isEmpty, mistakes.isEmpty { mistakes.append("it names no token: with that nobody could call") }
        if grants.count > Self.grantsMax { mistakes.append("it has \(grants.count) lines, and may have \(Self.grantsMax)") }
        guard mistakes.isEmpty else { throw Mistakes(all: mistakes) }
        self.grants = grants
    }

    private static func read(_ line: String, tenancy: Bool) -> (grant: Grant?, mistakes: [String]) {
        guard var reader = GrantReader(line) else { return (nil, ["it is no JSON object"]) }
        let grant = reader.grant()
        var mistakes = reader.mistakes
        if let grant, !grant.tenants.isEmpty, !tenancy {
            mistakes.append("tenants bind nobody where the server runs without tenancy: leave them out")
        }
        return (mistakes.isEmpty ? grant : nil, mistakes)
    }
}

extension Grant.Holder {
    fileprivate var word: String {
        switch self {
        case .token: "hash"
        case .certificate: "certificate"
        }
    }
}
