import Foundation
import Synchronization

/// Writes structured log lines, to standard output unless told otherwise. Nobody waits for whoever reads them. Passed down
/// from `main`; parts of the system hold one of their own name.
public struct Logger: Sendable {
    public enum Format: String, Sendable {
        /// One readable line.
        case text
        /// One JSON object on a line.
        case json
    }

    /// What a field can hold.
    public enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
        case text(String)
        case number(Int64)
        public init(stringLiteral value: String) { self = .text(value) }
        public init(integerLiteral value: Int64) { self = .number(value) }
        public init(_ value: some CustomStringConvertible) { self = .text(value.description) }
        public init(_ value: Int) { self = .number(Int64(value)) }
    }

    public typealias Fields = KeyValuePairs<String, Value>

    /// The part of the system that speaks.
    public let part: String
    private let format: Format
    private let filter: LogFilter
    private let write: @Sendable (String) -> Void

    /// - Parameter write: takes one line without its end; lines of several threads must not mix. Nil: standard output.
    public init(
        _ part: String, format: Format = .text, filter: LogFilter = LogFilter(),
        write: (@Sendable (String) -> Void)? = nil
    ) {
        self.part = part
        self.format = format
        self.filter = filter
        self.write = write ?? { line in (format == .text ? LogWriter.text : LogWriter.json).write(line) }
    }

    /// A logger that writes nothing.
    public static let silent = Logger("", write: { _ in })

    /// The same logger for another part.
    public func part(_ part: LogPart) -> Logger { Logger(part.rawValue, format: format, filter: filter, write: write) }

    public func error(_ message: String, _ fields: Fields = [:]) { log(.error, message, fields) }
    public func warn(_ message: String, _ fields: Fields = [:]) { log(.warn, message, fields) }
    public func info(_ message: String, _ fields: Fields = [:]) { log(.info, message, fields) }
    public func debug(_ message: String, _ fields: Fields = [:]) { log(.debug, message, fields) }

    public func log(_ level: LogLevel, _ message: String, _ fields: Fields = [:]) {
        guard filter.allows(level, part) else { return }
        write(Self.line(level, part, message, fields, as: format))
    }

    static func line(_ level: LogLevel, _ part: String, _ message: String, _ fields: Fields, as format: Format) -> String {
        switch format {
        case .text: text(level, part, message, fields)
        case .json: json(level, part, message, fields)
        }
    }

    private static func text(_ level: LogLevel, _ part: String, _ message: String, _ fields: Fields) -> String {
        var line = "\(Self.timestamp()) \(level.name.uppercased()) \(part.shownInLog): \(message.shownInLog)"
        for (name, value) in fields {
            switch value {
            case .number(let number): line += " \(name.shownInLog)=\(number)"
            case .text(let text): line += " \(name.shownInLog)=" + (Self.isPlain(text) ? text : Self.quoted(text))
            }
        }
        return line
    }

    private static func json(_ level: LogLevel, _ part: String, _ message: String, _ fields: Fields) -> String {
        let inner = [("message", Value.text(message))] + fields.map { ($0.key, $0.value) }
        let body = inner.map { name, value in
            switch value {
            case .number(let number): "\(Self.quoted(name)):\(number)"
            case .text(let text): "\(Self.quoted(name)):\(Self.quoted(text))"
            }
        }.joined(separator: ",")
        let head = #""timestamp":"\#(Self.timestamp())","level":"\#(level.name.uppercased())""#
        return "{\(head),\"fields\":{\(body)},\"target\":\(Self.quoted(part))}"
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && !$0.isEscapedInLog }
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
