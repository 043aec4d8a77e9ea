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

/// The parts of a server that speak in its log.
public enum LogPart: String, CaseIterable, Sendable {
    case silo, shard, admin, storage, grpc, limits, traces, calls
}

/// Which lines are written: a level for all, and others for single parts, as in `info,storage=debug`.
public struct LogFilter: Sendable, Equatable {
    var everywhere = LogLevel.info
    var parts: [String: LogLevel] = [:]

    /// What a filter says that is no rule.
    public struct Mistake: Error, Equatable, CustomStringConvertible {
        public let rule: String
        /// It names a part that there is not, and else a level.
        public var isOfNoPart = false
        public var description: String {
            let parts = LogPart.allCases.map(\.rawValue).joined(separator: ", ")
            guard !isOfNoPart else { return "\(rule) is of no part of the log: those are \(parts)" }
            let names = LogLevel.allCases.map(\.name).joined(separator: ", ")
            return "\(rule) is no level of the log: write one of \(names), or several rules such as info,storage=debug"
        }
    }

    /// Lines of `info` and graver ones.
    public init() {}

    public init(_ text: String) throws(Mistake) {
        for rule in text.split(separator: ",") {
            let sides = rule.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let level = LogLevel(sides.last ?? ""), sides.first?.isEmpty == false else { throw Mistake(rule: String(rule)) }
            guard sides.count == 2 else {
                everywhere = level
                continue
            }
            guard let part = LogPart(rawValue: String(sides[0])) else { throw Mistake(rule: String(rule), isOfNoPart: true) }
            parts[part.rawValue] = level
        }
    }

    func allows(_ level: LogLevel, _ part: String) -> Bool { level <= (parts[part] ?? everywhere) }

    /// No part writes lines of a higher level.
    var mostTalkative: LogLevel { parts.values.reduce(everywhere, max) }
}

extension LogFilter: CustomStringConvertible {
    /// As it is read again.
    public var description: String {
        ([everywhere.name] + parts.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.name)" }).joined(separator: ",")
    }
}
