import Foundation

/// One line of an audit log: a JSON object of texts, in order. Its first key tells it from other lines of a stream.
enum AuditLine {
    static func make(_ fields: [(String, String)], at date: timespec) -> String {
        let all = [("log", "audit"), ("time", time(date))] + fields
        return "{" + all.map { "\(quoted($0)):\(quoted($1))" }.joined(separator: ",") + "}"
    }

    /// RFC 3339, UTC, with milliseconds. So texts are in the order of their times.
    static func time(_ date: timespec) -> String {
        var (date, parts) = (date, tm())
        gmtime_r(&date.tv_sec, &parts)
        return String(
            format: "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
            parts.tm_min, parts.tm_sec, date.tv_nsec / 1_000_000
        )
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.isEscapedInLog: result += scalar.escapedInLog
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
