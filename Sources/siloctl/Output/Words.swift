import Foundation
import SiloCore

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

    /// How long it is since a moment.
    static func age(_ milliseconds: Int64, at now: Int64) -> String { isTime(milliseconds) ? length(now - milliseconds) : "ever" }

    /// `1.5 MiB`.
    static func size(_ bytes: UInt64) -> String {
        guard bytes >= 1024 else { return count(bytes, "byte") }
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < 4 { (value, unit) = (value / 1024, unit + 1) }
        return String(format: "%.1f ", value) + ["", "KiB", "MiB", "GiB", "TiB"][unit]
    }

    /// `987`, `12.3 k`, `4.56 M`: three digits.
    static func short(_ number: Double) -> String {
        guard number.isFinite else { return "-" }
        var (value, unit) = (abs(number), 0)
        while value >= 999.5, unit < 4 { (value, unit) = (value / 1000, unit + 1) }
        let decimals = value >= 99.95 || value == 0 ? 0 : value >= 9.995 ? 1 : 2
        var text = String(format: "%.\(decimals)f", value)
        if decimals > 0 { while text.last == "0" || text.last == "." { if text.removeLast() == "." { break } } }
        return (number < 0 && text != "0" ? "-" : "") + text + (unit == 0 ? "" : " " + ["", "k", "M", "G", "T"][unit])
    }

    /// `1,234,567`.
    static func grouped(_ number: some BinaryInteger) -> String { Counted.grouped(number) }

    /// `1 job`, `1,234 jobs`.
    static func count(_ number: some BinaryInteger, _ noun: String) -> String { Counted.text(number, noun) }
}
