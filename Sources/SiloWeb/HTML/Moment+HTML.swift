import Foundation
import SiloCore

/// A date as it is shown: how long ago, with the exact time on hover. Scripts keep it current and write the exact time in the
/// viewer's zone.
struct When {
    private let time: Timestamp
    private let now: Timestamp

    init(_ time: Timestamp, now: Timestamp) {
        self.time = time
        self.now = now
    }

    var html: HTML {
        "<time datetime=\"\(iso)\" title=\"\(exact)\" data-at=\"\(time.milliseconds)\">\(relative)</time>"
    }

    var relative: String {
        let past = now - time
        if abs(past) < 1000 { return "now" }
        let length = Self.coarse(abs(past))
        return past > 0 ? "\(length) ago" : "in \(length)"
    }

    /// As the scripts do it: whole units, rounded down.
    private static func coarse(_ milliseconds: Int64) -> String {
        let seconds = milliseconds / 1000
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min"
        case ..<86_400: return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) d"
        }
    }

    private var exact: String { iso.replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: "Z", with: " UTC") }

    private var iso: String {
        let (seconds, rest) = time.milliseconds.quotientAndRemainder(dividingBy: 1000)
        // Years of five digits and more are no dates that a browser reads, and none that anybody means.
        guard abs(seconds) < 253_402_300_800 else { return "\(time.milliseconds) ms" }
        let date = Date(timeIntervalSince1970: Double(seconds))
        return date.formatted(.iso8601).dropLast() + String(format: ".%03dZ", Int(abs(rest)))
    }
}
