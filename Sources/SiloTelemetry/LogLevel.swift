/// How grave a log line is.
public enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    case error, warn, info, debug, trace

    public init?(_ name: some StringProtocol) {
        guard let level = Self.allCases.first(where: { $0.name == name.lowercased() }) else { return nil }
        self = level
    }

    public var name: String { "\(self)" }

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// Which lines are written: a level for all, and others for single parts, as in `info,storage=debug`.
public struct LogFilter: Sendable, Equatable {
    var everywhere = LogLevel.info
    var parts: [String: LogLevel] = [:]

    /// What does not parse is passed over: a wrong filter must not keep a server from starting.
    public init(_ text: String = "") {
        for rule in text.split(separator: ",") {
            let sides = rule.split(separator: "=", maxSplits: 1)
            if sides.count == 2, let level = LogLevel(sides[1]) {
                parts[String(sides[0])] = level
            } else if let level = LogLevel(rule) {
                everywhere = level
            }
        }
    }

    func allows(_ level: LogLevel, _ part: String) -> Bool { level <= (parts[part] ?? everywhere) }
}
