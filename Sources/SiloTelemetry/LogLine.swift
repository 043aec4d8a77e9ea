import Foundation

/// One line of the log, before it is written.
struct LogLine {
    /// What a call is in a line that is written during it.
    struct Scope: Sendable {
        let name: String
        let fields: [(name: String, value: Logger.Value)]
    }
    private let level: LogLevel
    private let part: String
    private let message: String
    private let fields: Logger.Fields
    private let scope: Scope?
    private let trace: TraceContext?

    init(
        _ level: LogLevel, _ part: String, _ message: String, _ fields: Logger.Fields, in scope: Scope? = nil,
        _ trace: TraceContext? = nil
    ) {
        self.level = level
        self.part = part
        self.message = message
        self.fields = fields
        self.scope = scope
        self.trace = trace
    }

    func text(as format: Logger.Format) -> String {
        switch format {
        case .text: plain(isColoured: false)
        case .coloured: plain(isColoured: true)
        case .json: json()
        }
    }

    // MARK: Text

    private func plain(isColoured: Bool) -> String {
        func shown(_ text: String, _ code: String) -> String { isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
        let place = scope.map { "\($0.name.shownInLog): " } ?? ""
        var line = shown(Self.timestamp(), "2") + " " + shown(level.name.uppercased(), level.colour)
            + " " + place + shown("\(part.shownInLog):", "2") + " " + message.shownInLog
        for (name, value) in fields.map({ ($0.key, $0.value) }) + (scope?.fields ?? []) { line += Self.field(name, value) }
        if let trace { line += " trace_id=\(trace.trace) span_id=\(trace.span)" }
        return line
    }

    private static func field(_ name: String, _ value: Logger.Value) -> String {
        switch value {
        case .number(let number): " \(name.shownInLog)=\(number)"
        case .text(let text): " \(name.shownInLog)=" + (isPlain(text) ? text : quoted(text))
        }
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && !$0.isEscapedInLog }
    }

    // MARK: JSON

    private func json() -> String {
        let inner = Self.object([("message", .text(message))] + fields.map { ($0.key, $0.value) })
        var line = #"{"timestamp":"\#(Self.timestamp())","level":"\#(level.name.uppercased())","fields":\#(inner)"#
        line += ",\"target\":\(Self.quoted(part))"
        if let scope {
            let object = Self.object([("name", .text(scope.name))] + scope.fields)
            line += ",\"span\":\(object),\"spans\":[\(object)]"
        }
        if let trace { line += ",\"trace_id\":\"\(trace.trace)\",\"span_id\":\"\(trace.span)\"" }
        return line + "}"
    }

    private static func object(_ fields: [(name: String, value: Logger.Value)]) -> String {
        let body = fields.map { name, value in
            switch value {
            case .number(let number): "\(quoted(name)):\(number)"
            case .text(let text): "\(quoted(name)):\(quoted(text))"
            }
        }
        return "{" + body.joined(separator: ",") + "}"
    }

    /// A JSON string.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.isEscapedInLog: result += scalar.escapedInLog
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// RFC 3339, UTC, with microseconds.
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        return String(
            format: "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
            parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000
        )
    }
}

extension LogLevel {
    /// The code of ECMA-48.
    fileprivate var colour: String {
        switch self {
        case .error: "31"
        case .warn: "33"
        case .info: "32"
        case .debug: "34"
        case .trace: "35"
        }
    }
}
