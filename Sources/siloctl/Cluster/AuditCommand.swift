import CommandLineTool
import GRPC
import SiloAPI
import SiloCore

/// `audit`: what the audit log of the server that is spoken to has.
struct AuditCommand {
    let arguments: Arguments
    let output: Output

    static let details = """
        Rotated files beside the log are read too, unless they are compressed. Names are compared whole. It ends after --limit \
        entries, however far back those are.
        """
    static let options: [Usage.Option] = [
        .init("who", nil, "name", help: "of this caller"),
        .init("call", nil, "name", help: "of this call, such as Pause"),
        .init("outcome", nil, "code", help: "that ended so, such as OK or PERMISSION_DENIED"),
        .init("failed", help: "that were not done"),
        .init("since", nil, "seconds", help: "of the last so many seconds"),
        .init("limit", nil, "1..100000", help: "how many (50)"),
        .init("readings", help: "also calls that only read"),
    ]

    func run() async throws {
        let server = try Server(arguments)
        defer { server.close() }
        let limit = try arguments.number("limit", default: 50, in: 1...100_000)
        var request = SiloV1.ListAuditEntriesRequest()
        request.who = arguments.text("who", default: "")
        request.call = try known("call", Self.calls)
        request.tenant = try ServerPlace.tenant(arguments) ?? ""
        request.outcome = try known("outcome", Self.outcomes)
        request.onlyFailed = arguments.has("failed")
        request.withReadings = arguments.has("readings")
        if arguments.has("since") {
            let seconds = try arguments.number("since", default: 0, in: 0...3_153_600_000)
            request.fromMs = output.times.now - Int64(seconds) * 1000
        }
        var entries: [SiloV1.AuditEntry] = []
        while entries.count < limit {
            request.limit = UInt32(min(500, limit - entries.count))
            let page = try await server.call(SiloV1.Silo.listAuditEntries, request)
            guard page.place == .file else {
                throw Failure(page.place == .stream
                    ? "the audit log goes to \(page.path), which the server cannot read back"
                    : "the server keeps no audit log: start it with --audit-log")
            }
            entries += page.entries
            guard !page.nextCursor.isEmpty else { break }
            request.cursor = page.nextCursor
        }
        let rows = entries.map { entry -> [Line] in
            let things = entry.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
            let error = entry.error.isEmpty ? "" : ": \(entry.error)"
            let isDone = entry.outcome == "OK"
            return [
                "\(output.times.text(entry.timeMs))", "\(entry.who.isEmpty ? "-" : entry.who)", "\(entry.call)",
                Line("\(entry.outcome)\(error)", isDone ? nil : .bad), "\(things)", "\(entry.peer)",
            ]
        }
        let leftOut = entries.flatMap(\.fields).filter { $0.name == "left_out" }.reduce(0) { $0 + (UInt64($1.value) ?? 0) }
        let refusals = Words.count(leftOut, "more refusal")
        let note: [Line] = leftOut == 0 ? [] : ["", "\(refusals) of that time left out: ten a second are kept"]
        try output.print(
            ["entries": entries.map(\.object), "refusals_left_out": leftOut],
            rows.isEmpty
                ? ["No entry is like that"] : Table.lines(["When", "Who", "Call", "Outcome", "On what", "From"], rows) + note)
    }

    private static let service = SiloV1.Silo.name + "."
    /// The calls of the protocol, those of the web page, and what a server notes of itself.
    private static let calls =
        SiloV1.symbols.filter { $0.hasPrefix(service) }.map { String($0.dropFirst(service.count)) }
        + ["SignIn", "SignOut", "reload", "refusals"]
    private static let outcomes = Status.Code.allCases.map { "\($0)" } + ["FAILED", "LEFT_OUT"]

    /// The value of an option that names one of these; empty: none is given. A name that nothing has would find nothing.
    private func known(_ option: String, _ names: [String]) throws -> String {
        guard let text = arguments.text(option), !text.isEmpty, !names.contains(text) else {
            return arguments.text(option, default: "")
        }
        let same = names.first { $0.lowercased() == text.lowercased() }
        let hint = (same ?? Nearest.name(to: text, among: names)).map { "did you mean \($0)?" }
        let all = names.sorted().joined(separator: ", ")
        throw Arguments.Mistake("--\(option): the log has no \(text); \(hint ?? "it has \(all)")")
    }
}

extension SiloV1.AuditEntry {
    fileprivate var object: [String: Any] {
        var object: [String: Any] = [
            "time_ms": timeMs, "who": who, "by": by, "peer": peer, "call": call, "outcome": outcome,
            "fields": Dictionary(fields.map { ($0.name, $0.value) }) { first, _ in first },
        ]
        if !error.isEmpty { object["error"] = error }
        return object
    }
}
