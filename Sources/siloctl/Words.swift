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
        default: return "\(milliseconds / 86_400_000) days"
        }
    }

    /// `in 5 min` or `2 h ago`, as seen from `now`.
    static func distance(_ milliseconds: Int64, from now: Int64) -> String {
        if milliseconds > now { return "in \(length(milliseconds - now))" }
        return now - milliseconds < 1000 ? "just now" : "\(length(now - milliseconds)) ago"
    }

    /// `2026-03-01 12:00:00 UTC`.
    static func moment(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds / 1000)).formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: false).dateTimeSeparator(.space).dateSeparator(.dash)
        ) + " UTC"
    }

    static func count(_ number: UInt64, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
