import CommandLineTool
import Foundation
import SQLText

/// A statement that has a name.
struct SavedQuery: Sendable {
    let name: String
    /// What it answers, in a line; may be empty.
    let about: String
    let sql: String
    var isBuiltIn = false

    /// What operators ask most.
    static let builtIn = CommonQuestion.all.map { SavedQuery(name: $0.name, about: $0.about, sql: $0.sql, isBuiltIn: true) }
}

/// The statements that this person has saved: `queries.sql` beside the servers' file. A line `-- name: NAME` begins each,
/// comments below it say what it is for, and the statement goes on to the next such line. It can be edited by hand.
struct SavedQueries: Sendable {
    let path: String
    private let preamble: [String]
    /// By this person, in the file's order.
    private let own: [SavedQuery]

    private static let mark = "-- name:"
    private static let bytesMax = 1 << 20
    private static let nameBytesMax = 64

    static let help = """
        ~/.config/silo/queries.sql (or in $XDG_CONFIG_HOME/silo) has saved statements, each below a line with its name:

        -- name: slow-mail
        -- Jobs of mail that run for more than a minute
        SELECT tenant, job_id, worker_id FROM leases WHERE task_group = 'mail' AND started_at_ms < now_ms() - 60000;
        """

    /// Those of the file where it belongs; none when there is no file.
    init() throws {
        path = ServersFile.folder + "/queries.sql"
        guard access(path, F_OK) == 0 else {
            (preamble, own) = ([], [])
            return
        }
        let bytes = try InputFile.read(path, as: "the saved statements", bytesMax: Self.bytesMax)
        (preamble, own) = try Self.parse(String(decoding: bytes, as: UTF8.self), path)
    }

    /// Own ones first; a built-in one is hidden by an own one of its name.
    var all: [SavedQuery] { own + SavedQuery.builtIn.filter { query in !own.contains { $0.name == query.name } } }

    /// - Throws: when there is none of the name, naming those that there are.
    func query(_ name: String) throws(Failure) -> SavedQuery {
        guard let query = all.first(where: { $0.name == name }) else {
            throw Failure("no statement is saved as \(name); there is \(all.map(\.name).joined(separator: ", "))")
        }
        return query
    }

    /// Writes the file with this statement in it, in the place of an own one of its name. The old file stays until the new one is
    /// complete.
    func save(_ name: String, _ sql: String) throws {
        let isName = !name.isEmpty && name.utf8.count <= Self.nameBytesMax && name.utf8.allSatisfy(Self.isOfName)
        guard isName else { throw Failure("a name has 1 to \(Self.nameBytesMax) letters, digits, - and _, unlike \(name)") }
        guard !sql.hasLineOf(Self.mark) else { throw Failure("a line of the statement begins with \(Self.mark)") }
        var queries = own
        let saved = SavedQuery(name: name, about: own.first { $0.name == name }?.about ?? "", sql: sql)
        if let index = own.firstIndex(where: { $0.name == name }) { queries[index] = saved } else { queries.append(saved) }
        let text = preamble.map { $0 + "\n" }.joined() + queries.map(Self.text).joined(separator: "\n")
        guard text.utf8.count <= Self.bytesMax else { throw Failure("\(path) would be larger than 1 MiB") }
        try PrivateFile.replace(path, with: text)
    }

    private static func text(_ query: SavedQuery) -> String {
        let about = query.about.isEmpty ? "" : "-- \(query.about)\n"
        return "\(mark) \(query.name)\n\(about)\(query.sql.hasSuffix(";") ? query.sql : query.sql + ";")\n"
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func parse(_ text: String, _ path: String) throws(Failure) -> (preamble: [String], [SavedQuery]) {
        var sections: [(name: String, lines: [String])] = []
        var preamble: [String] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).enumerated() {
            if line.hasPrefix(mark) {
                let name = line.dropFirst(mark.count).trimmingCharacters(in: .whitespaces)
                guard !name.isEmpty, name.utf8.allSatisfy(isOfName) else {
                    throw Failure("\(path):\(index + 1): a name has letters, digits, - and _ alone")
                }
                guard !sections.contains(where: { $0.name == name }) else {
                    throw Failure("\(path):\(index + 1): a second statement is called \(name)")
                }
                sections.append((name, []))
            } else if !sections.isEmpty {
                sections[sections.count - 1].lines.append(line)
            } else if SQLPieces(line).isBlank {
                preamble.append(line)
            } else {
                throw Failure("\(path):\(index + 1): a statement needs its name above it, as in \(mark) slow-mail")
            }
        }
        if preamble.last == "" { preamble.removeLast() }
        return (preamble, sections.map(query))
    }

    private static func query(_ name: String, _ lines: [String]) -> SavedQuery {
        let about = lines.prefix { $0.hasPrefix("--") }
        let sql = lines.dropFirst(about.count).joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
        let words = about.map { $0.drop { $0 == "-" }.trimmingCharacters(in: .whitespaces) }
        return SavedQuery(name: name, about: words.joined(separator: " "), sql: sql)
    }
}

extension String {
    fileprivate func hasLineOf(_ mark: String) -> Bool { split(separator: "\n").contains { $0.hasPrefix(mark) } }
}
