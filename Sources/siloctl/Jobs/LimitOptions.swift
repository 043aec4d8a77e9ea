import CommandLineTool
import SiloAPI
import SiloClient
import SiloCore

/// The options of `enqueue` that give a job limits.
struct LimitOptions {
    static let usage: [Usage.Option] = [
        .init(
            "limit", nil, "key=max", isList: true,
            help: "so many attempts at once of jobs that name the key; may be given several times"),
        .init(
            "floating", nil, "key=initial/refresh", isList: true,
            help: """
                the same with a maximum that workers set again, at most every
                so often: api=5/60s
                """),
        .init(
            "rate", nil, "name/key=hits/period", isList: true,
            help: """
                so many attempts in a period: emails/acme=100/1m; periods are numbers
                with ms, s, m, h or d, or the calendar's minute, hour, day, week,
                month or year in UTC
                """),
    ]
    private let arguments: Arguments

    init(_ arguments: Arguments) {
        self.arguments = arguments
    }

    /// Concurrency limits, then floating ones, then rates.
    func limits() throws(Arguments.Mistake) -> [SiloV1.Limit] {
        var limits: [SiloV1.Limit] = []
        for (name, make) in [("limit", concurrency), ("floating", floating), ("rate", rate)]
            as [(String, (Substring) -> JobLimit?)]
        {
            for text in arguments.text(name, default: "").split(separator: ",") {
                guard let limit = make(text) else { throw Arguments.Mistake("--\(name) wants \(Self.form(name)), not \(text)") }
                limits.append(SiloV1.Limit(limit))
            }
        }
        return limits
    }

    private static func form(_ name: String) -> String {
        switch name {
        case "limit": "key=max, such as db=10"
        case "floating": "key=initial/refresh, such as api=5/60s"
        default: "name/key=hits/period, such as emails/acme=100/1m or emails/acme=100/day"
        }
    }

    private func concurrency(_ text: Substring) -> JobLimit? {
        guard let (key, value) = sides(text), let max = UInt32(value), max > 0 else { return nil }
        return .concurrency(key, max: max)
    }

    private func floating(_ text: Substring) -> JobLimit? {
        guard let (key, value) = sides(text), let (first, last) = halves(value), let initial = UInt32(first), initial > 0,
            let refresh = Self.milliseconds(last)
        else { return nil }
        return .floating(key, initialMax: initial, refreshEvery: .milliseconds(refresh))
    }

    private func rate(_ text: Substring) -> JobLimit? {
        guard let (names, value) = sides(text), let (name, key) = halves(names[...]), let (first, last) = halves(value),
            let limit = Int64(first), limit > 0
        else { return nil }
        let period = RateLimit.CalendarPeriod.allCases.first { "\($0)" == last }.map { RateLimit.Window.calendar($0) }
        guard let window = period ?? Self.milliseconds(last).map({ .milliseconds($0) }) else { return nil }
        return .rate(String(name), key: String(key), limit, per: window)
    }

    /// Of the last `=`: values have none.
    private func sides(_ text: Substring) -> (key: String, value: Substring)? {
        guard let sign = text.unicodeScalars.lastIndex(of: "="), sign > text.startIndex else { return nil }
        return (String(text[..<sign]), text[text.unicodeScalars.index(after: sign)...])
    }

    /// Of the first `/`, both not empty.
    private func halves(_ text: Substring) -> (Substring, Substring)? {
        let parts = text.parts(at: "/", atMost: 2)
        return parts.count == 2 && !parts[0].isEmpty && !parts[1].isEmpty ? (parts[0][...], parts[1][...]) : nil
    }

    /// A length of time such as `60s`, of ten years at most.
    static func milliseconds(_ text: Substring) -> Int64? {
        for (unit, factor) in [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)] as [(String, Int64)]
        where text.hasSuffix(unit) {
            guard let number = Int64(text.dropLast(unit.count)), number > 0, number <= 315_360_000_000 / factor else {
                return nil
            }
            return number * factor
        }
        return nil
    }
}
