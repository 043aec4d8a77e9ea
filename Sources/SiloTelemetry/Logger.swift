import Foundation

/// Writes structured log lines, to standard output unless told otherwise. Nobody waits for whoever reads them. Passed down
/// from `main`; parts of the system hold one of their own name.
public struct Logger: Sendable {
    public enum Format: String, Sendable {
        /// One readable line.
        case text
        /// The same with colours, for a terminal.
        case coloured
        /// One JSON object on a line.
        case json

        /// Text has colours on a terminal, unless `NO_COLOR` is set.
        public static func textFor(_ descriptor: Int32, _ environment: [String: String]) -> Format {
            environment["NO_COLOR"]?.isEmpty == false || isatty(descriptor) == 0 ? .text : .coloured
        }
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
    public private(set) var part: String
    /// What can be changed while the process runs, of this logger and all that come from it.
    public let control: LogControl
    private let format: Format
    private let write: @Sendable (String) -> Void
    private var scope: LogLine.Scope?
    private var trace: TraceContext?

    /// - Parameter write: takes one line without its end; lines of several threads must not mix. Nil: standard output.
    public init(
        _ part: String, format: Format = .text, filter: LogFilter = LogFilter(),
        write: (@Sendable (String) -> Void)? = nil
    ) {
        self.part = part
        self.format = format
        if let write {
            self.write = write
            control = LogControl(filter)
        } else {
            let writer = format == .json ? LogWriter.json : LogWriter.text
            self.write = { writer.write($0) }
            control = LogControl(filter, writer: writer)
        }
    }

    /// Appends to a file, which is made when it is not there.
    public init(_ part: String, format: Format, filter: LogFilter, file path: String) throws(LogFileError) {
        self.part = part
        self.format = format
        let writer = try LogWriter(file: path, tellOfDropped: LogWriter.tell(format)).writtenAtEnd()
        write = { writer.write($0) }
        control = LogControl(filter, writer: writer)
    }

    /// A logger that writes nothing.
    public static let silent = Logger("", write: { _ in })

    /// The same logger for another part.
    public func part(_ part: LogPart) -> Logger {
        var other = self
        other.part = part.rawValue
        return other
    }

    /// The same logger for lines of a call.
    /// - Parameter trace: the call's span, or whom it is made for; nil: it is not recorded.
    public func of(_ name: String, _ fields: Fields, _ trace: TraceContext?) -> Logger {
        var other = self
        other.scope = LogLine.Scope(name: name, fields: fields.map { ($0.key, $0.value) })
        other.trace = trace
        return other
    }

    public func error(_ message: String, _ fields: Fields = [:]) { log(.error, message, fields) }
    public func warn(_ message: String, _ fields: Fields = [:]) { log(.warn, message, fields) }
    public func info(_ message: String, _ fields: Fields = [:]) { log(.info, message, fields) }
    public func debug(_ message: String, _ fields: Fields = [:]) { log(.debug, message, fields) }

    public func log(_ level: LogLevel, _ message: String, _ fields: Fields = [:]) {
        guard allows(level) else { return }
        write(LogLine(level, part, message, fields, in: scope, trace).text(as: format))
    }

    /// Whether lines of a level are written now.
    public func allows(_ level: LogLevel) -> Bool { control.allows(level, part) }
}
