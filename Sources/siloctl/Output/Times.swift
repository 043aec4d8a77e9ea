import Foundation
import SiloCore

/// How moments are shown: as people read them, with how far they are away, or in ISO 8601.
struct Times: Sendable {
    var isUTC = false
    var isISO = false
    /// Milliseconds since the Unix epoch.
    let now: Int64

    /// `2026-03-01 13:00:00 CET, 5 min ago`, or `2026-03-01T13:00:00.123+01:00`; `-` for no moment, `never` for what is none.
    func text(_ milliseconds: Int64) -> String {
        let moment = moment(milliseconds)
        guard milliseconds != 0, Words.isTime(milliseconds), !isISO else { return moment }
        return "\(moment), \(Words.distance(milliseconds, from: now))"
    }

    /// The same without the distance.
    func moment(_ milliseconds: Int64) -> String {
        guard milliseconds != 0 else { return "-" }
        guard Words.isTime(milliseconds) else { return Words.never }
        var seconds = Int(milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000)
        var parts = tm()
        // The other call does not look at the environment's TZ by itself.
        tzset()
        _ = isUTC ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)
        let date = String(format: "%04d-%02d-%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
        let time = String(format: "%02d:%02d:%02d", parts.tm_hour, parts.tm_min, parts.tm_sec)
        let zone = isUTC ? "UTC" : parts.tm_zone.map { String(cString: $0) } ?? ""
        guard isISO else { return "\(date) \(time) \(zone)" }
        return "\(date)T\(time)" + String(format: ".%03d", Int(milliseconds) - seconds * 1000) + offset(parts)
    }

    private func offset(_ parts: tm) -> String {
        guard !isUTC else { return "Z" }
        let minutes = parts.tm_gmtoff.magnitude / 60
        return (parts.tm_gmtoff < 0 ? "-" : "+") + String(format: "%02d:%02d", Int(minutes / 60), Int(minutes % 60))
    }
}
