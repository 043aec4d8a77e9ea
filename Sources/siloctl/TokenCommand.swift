import CommandLineTool
import Foundation
import SiloAccess
import SiloCore

/// Makes tokens, and looks at files of them. Both ask no server.
struct TokenCommand {
    let arguments: Arguments
    let output: Output

    static let details = """
        Prints the token, which is shown this once and kept nowhere, and the line for the file that the server's --tokens-file
        names. With --file the line goes into it, and the token alone is printed. The server reads the file anew when it changes.
        To rotate a token, make a second one of another name, give it to its callers, and take the first one's line out.
        Roles: read looks at jobs; work leases and reports; enqueue puts jobs in; operate does all that, and cancels, restarts,
        deletes, imports and pauses; admin does everything.
        """
    static let options: [Usage.Option] = [
        .init("name", nil, "name", help: "who it is for, in the audit log; no two tokens of a file have the same"),
        .init(
            "role", nil, "role", isList: true, help: "admin, operate, enqueue, work or read; may be given several times",
            values: { Role.allCases.map(\.rawValue) }),
        .init("tenant", "t", "id", isList: true, help: "whose jobs alone it may touch; may be given several times"),
        .init("group", nil, "name", isList: true, help: "the task group it is bound to; may be given several times"),
        .init("expires", nil, "time", help: "until when: 90d, 12h or 2027-01-31T00:00:00Z (for ever)"),
        .init("requests-per-second", nil, "count", help: "calls it may make, and jobs of batches (any number)"),
        .init("bytes-per-second", nil, "count", help: "bytes it may send (any number)"),
        .init("file", "f", "file", help: "the tokens file to add the line to"),
    ]

    func make() throws {
        var random = SystemRandomNumberGenerator()
        let token = Token.make(from: &random)
        let line = try grant(token).line
        do throws(TokensFile.Mistakes) {
            _ = try TokensFile(line + "\n")
        } catch {
            throw Arguments.Mistake("\(error)".replacing("line 1: ", with: ""))
        }
        guard let file = arguments.text("file") else {
            return try output.print(["token": token, "line": line], ["\(token)", "\(line)"])
        }
        try add(line, to: file)
        try output.print(["token": token, "line": line, "file": file], ["\(token)"])
    }

    func check() throws {
        let path = arguments.operands[0]
        let text = String(decoding: try InputFile.read(path), as: UTF8.self)
        let grants: [Grant]
        do throws(TokensFile.Mistakes) { grants = try TokensFile(text).grants } catch { throw Failure("\(path): \(error)") }
        let now = Timestamp(Int64(Date.now.timeIntervalSince1970 * 1000))
        let rows = grants.map { grant -> [Line] in
            let bounds = (grant.tenants.map { "tenant \($0)" } + grant.groups.map { "group \($0)" }).joined(separator: ", ")
            let isOver = grant.expires.map { $0 <= now } ?? false
            let rates = [
                grant.limits.requestsPerSecond.map { "\($0) requests/s" }, grant.limits.bytesPerSecond.map { "\($0) bytes/s" },
            ].compactMap { $0 }
            let expiry: Line = grant.expires.map { "\(output.times.text($0.milliseconds))" } ?? "-"
            return [
                "\(grant.name)", "\(grant.roles.map(\.rawValue).joined(separator: ","))",
                "\(bounds.isEmpty ? "everything" : bounds)", isOver ? expiry + Line("  (expired)", .bad) : expiry,
                "\(rates.isEmpty ? "-" : rates.joined(separator: ", "))",
            ]
        }
        try output.print(
            ["valid": true, "tokens": grants.map(\.name), "grants": grants.map(\.object)],
            Table.lines(["Name", "Roles", "Of", "Expires", "At most"], rows))
    }

    private func grant(_ token: String) throws -> Grant {
        guard let name = arguments.text("name") else { throw Arguments.Mistake("--name is missing: who is the token for?") }
        guard arguments.has("role") else { throw Arguments.Mistake("--role is missing: what may it do?") }
        let roles = try arguments.texts("role").flatMap { $0.split(separator: ",") }.map { text in
            guard let role = Role(rawValue: String(text)) else {
                let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
                throw Arguments.Mistake("--role must be one of \(known), not \(text)")
            }
            return role
        }
        func rate(_ option: String) throws -> Int? {
            guard arguments.has(option) else { return nil }
            return try arguments.number(option, default: 1, in: 1...1_000_000_000_000)
        }
        return Grant(
            name: name, holder: .token(TokenHash(of: token.utf8)), roles: roles, tenants: arguments.texts("tenant"),
            groups: arguments.texts("group"), expires: try expires(),
            limits: .init(requestsPerSecond: try rate("requests-per-second"), bytesPerSecond: try rate("bytes-per-second"))
        )
    }

    private func expires() throws -> Timestamp? {
        guard let text = arguments.text("expires") else { return nil }
        let now = Date.now
        let seconds: [Character: Double] = ["d": 86_400, "h": 3600, "m": 60]
        let date: Date
        if let unit = text.last.flatMap({ seconds[$0] }), let count = Int(text.dropLast()), (1...1_000_000).contains(count) {
            date = now + Double(count) * unit
        } else if let given = try? Date(text, strategy: .iso8601) {
            date = given
        } else {
            throw Arguments.Mistake(
                "--expires must be a length such as 90d or 12h, or a time such as 2027-01-31T00:00:00Z, not \(text)")
        }
        guard date > now else { throw Arguments.Mistake("--expires is in the past: \(text)") }
        guard let milliseconds = Int64(exactly: (date.timeIntervalSince1970 * 1000).rounded()) else {
            throw Arguments.Mistake("--expires is too far away: \(text)")
        }
        return Timestamp(milliseconds)
    }

    /// The line of a tokens file that has the name.
    private static func line(of name: String, in text: String) -> Int? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let place = lines.firstIndex { (try? TokensFile($0 + "\n"))?.grants.first?.name.hasSameBytes(as: name) ?? false }
        return place.map { $0 + 1 }
    }

    /// Puts the file in its new form in place of the old one in one step: a server never reads half of it. The new form is made
    /// by one at a time, from before the old one is read: nobody's line is lost.
    private func add(_ line: String, to path: String) throws {
        let draft = path + ".new"
        let made = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard made >= 0 else {
            guard errno != EEXIST else {
                throw Failure("\(draft) is there: somebody else adds a token now, or was stopped at it; then delete it")
            }
            throw Failure("cannot write \(draft): \(String(cString: strerror(errno)))")
        }
        let file = FileHandle(fileDescriptor: made, closeOnDealloc: true)
        var isInPlace = false
        defer { if !isInPlace { unlink(draft) } }
        let manager = FileManager.default
        var text = manager.fileExists(atPath: path) ? String(decoding: try InputFile.read(path, as: "--file"), as: UTF8.self) : ""
        if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        if let taken = Self.line(of: arguments.text("name", default: ""), in: text) {
            throw Failure("\(path): the name \(arguments.text("name", default: "")) is taken, by line \(taken); choose another")
        }
        text += line + "\n"
        do throws(TokensFile.Mistakes) { _ = try TokensFile(text) } catch { throw Failure("\(path): \(error)") }
        try file.write(contentsOf: Data(text.utf8))
        try file.synchronize()
        var status = stat()
        // Whoever could read the old one can read the new one.
        if stat(path, &status) == 0 {
            _ = fchown(made, status.st_uid, status.st_gid)
            fchmod(made, status.st_mode & 0o777)
        }
        isInPlace = rename(draft, path) == 0
        guard isInPlace else { throw Failure("cannot write \(path): \(String(cString: strerror(errno)))") }
    }
}

extension Grant {
    fileprivate var object: [String: Any] {
        var object: [String: Any] = ["name": name, "roles": roles.map(\.rawValue), "tenants": tenants, "groups": groups]
        object["expires_ms"] = expires?.milliseconds
        object["requests_per_second"] = limits.requestsPerSecond
        object["bytes_per_second"] = limits.bytesPerSecond
        return object
    }
}
