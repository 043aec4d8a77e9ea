import Foundation

/// Times as the controls of a page have them, `2026-03-01T13:00:00.250`: they have no zone, and are taken for UTC.
enum LocalTime {
    /// Nil: it is none.
    static func milliseconds(_ text: String) -> Int64? {
        let whole = text.count == 16 ? text + ":00" : text
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: whole.contains("."))
        guard let date = try? Date(whole + "Z", strategy: style) else { return nil }
        let milliseconds = Int64(exactly: (date.timeIntervalSince1970 * 1000).rounded())
        // No day that a month does not have.
        guard let milliseconds, Self.text(milliseconds)?.hasPrefix(text.prefix(16)) == true else { return nil }
        return milliseconds
    }

    /// With seconds and their parts where there are some. Nil: it is not in the years 1600 to 9999.
    static func text(_ milliseconds: Int64) -> String? {
        guard (-11_676_096_000_000...253_402_300_799_999).contains(milliseconds) else { return nil }
        let rest = (milliseconds % 1000 + 1000) % 1000
        let date = Date(timeIntervalSince1970: Double(milliseconds - rest) / 1000)
        let text = date.formatted(.iso8601).dropLast()
        guard rest == 0 else { return text + String(format: ".%03d", Int(rest)) }
        return String(text.hasSuffix(":00") ? text.dropLast(3) : text)
    }
}
