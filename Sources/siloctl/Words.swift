import Foundation

/// Times and their lengths, in words.
enum Words {
    static func length(_ milliseconds: Int64) -> String {
        let milliseconds = max(0, milliseconds)
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<120_000: return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
        case ..<7_200_000: return "\(milliseconds / 60_000) min"
        case ..<172_800_000: return "\(milliseconds / 3_600_000) h"
        case ..<315_576_000_000_000: return "\(milliseconds / 86_400_000) days"
        default: return "ever"
        }
    }

    static let never = "never"

    /// Whether milliseconds since 1970 lie in the years 1 to 9999. Programs mean "never" by what lies outside.
    static func isTime(_ milliseconds: Int64) -> Bool { (-62_135_596_800_000...253_402_300_799_999).contains(milliseconds) }

    /// `in 5 min` or `2 h ago`, as seen from `now`; `-` for no moment.
    static func distance(_ milliseconds: Int64, from now: Int64) -> String {
        guard milliseconds != 0 else { return "-" }
        guard isTime(milliseconds) else { return never }
        if milliseconds > now { return "in \(length(milliseconds - now))" }
        return now - milliseconds < 1000 ? "just now" : "\(length(now - milliseconds)) ago"
    }

    /// `2026-03-01 12:00:00 UTC`; `-` for no moment.
    static func moment(_ milliseconds: Int64) -> String {
        guard milliseconds != 0 else { return "-" }
        guard isTime(milliseconds) else { return never }
        return Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: false).dateTimeSeparator(.space).dateSeparator(.dash)
        ) + " UTC"
    }

    /// `2026-03-01 12:00:00 UTC, in 5 min`.
    static func momentAndDistance(_ milliseconds: Int64, from now: Int64) -> String {
        let text = moment(milliseconds)
        return isTime(milliseconds) && milliseconds != 0 ? "\(text), \(distance(milliseconds, from: now))" : text
    }

    /// How long it is since a moment.
    static func age(_ milliseconds: Int64, at now: Int64) -> String { isTime(milliseconds) ? length(now - milliseconds) : "ever" }

    static func count(_ number: UInt64, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
