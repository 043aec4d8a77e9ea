import Protobuf
import SiloStore

@testable import SiloEngine

/// Limits as scenarios write them, separated by commas:
///
///     x:2                          two slots of x
///     f~1/5s(region=eu)            a floating limit of one at first, refreshed each 5 s (else each minute), with metadata
///     k@5/1m(hits=3,leaky,burst=9) five hits a minute, of which the job needs three
///
/// Of a rate limit also `reset`, `drain`, `retries=9`, `backoff=1s`, `max=5s`; its window may be a calendar's: `k@1/hour`.
enum ScenarioLimits {
    static func parse(_ text: String?, _ arguments: ScenarioArguments) throws(ScenarioError) -> [StorageV1.Limit] {
        var limits: [StorageV1.Limit] = []
        for part in split(text ?? "") { limits.append(try limit(String(part), arguments)) }
        return limits
    }

    /// At commas outside of parentheses.
    private static func split(_ text: String) -> [Substring] {
        var depth = 0
        return text.split { character in
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            return character == "," && depth == 0
        }
    }

    private static func limit(_ text: String, _ arguments: ScenarioArguments) throws(ScenarioError) -> StorageV1.Limit {
        guard let mark = text.firstIndex(where: { ":~@".contains($0) }) else { throw arguments.error("\(text) is no limit") }
        let key = String(text[..<mark])
        let rest = text[text.index(after: mark)...]
        let numbers = rest.prefix { $0 != "(" }.split(separator: "/").map(String.init)
        let extras = rest.drop { $0 != "(" }.dropFirst().dropLast()
        // What is in parentheses is read as the options of a command are.
        var options = try ScenarioArguments("\(text) \(extras.replacing(",", with: " "))", line: arguments.line)
        guard let first = numbers.first, let max = UInt32(first) else { throw options.error("it has no number") }
        switch text[mark] {
        case ":":
            guard numbers.count == 1 else { throw options.error("slots have no time") }
            try options.finish()
            return slots(key, max)
        case "~":
            let every = numbers.count > 1 ? try options.length(of: numbers[1]) : 60_000
            return floating(key, max, every: every, metadata: metadata(extras))
        default:
            guard numbers.count == 2 else { throw options.error("it has no window") }
            return try rate(key, Int64(max), numbers[1], &options)
        }
    }

    private static func rate(
        _ key: String, _ max: Int64, _ window: String, _ options: inout ScenarioArguments
    ) throws(ScenarioError) -> StorageV1.Limit {
        let period = CalendarPeriod.allCases.first { "\($0)" == window }
        let duration: Int64
        if let period { duration = period.rawValue } else { duration = try options.length(of: window) }
        var record = rateLimit(
            key, max, per: duration, hits: try options.number("hits") ?? 1,
            burst: try options.number("burst") ?? 0, behavior: period == nil ? 0 : RateBehavior.calendar,
            retries: try options.number("retries") ?? 0, backoff: try options.length("backoff") ?? 100,
            maxBackoff: try options.length("max") ?? 30_000)
        while let flag = options.optionalWord() {
            switch flag {
            case "leaky": record.algorithm = 1
            case "reset": record.behavior |= RateBehavior.resetRemaining
            case "drain": record.behavior |= RateBehavior.drainOverLimit
            default: throw options.error("unknown word \(flag)")
            }
        }
        try options.finish()
        return SiloEngineTests.rate(record)
    }

    private static func metadata(_ text: Substring) -> TextMap<String> {
        var metadata: TextMap<String> = [:]
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            metadata[parts[0]] = parts.last
        }
        return metadata
    }

    // MARK: In words

    /// What names a line: the limits of its jobs, without what does not decide about a start.
    static func name(_ limits: [StorageV1.Limit]) -> String {
        limits.map { limit in
            switch limit.kind {
            case .concurrency(let slots): "\(slots.key):\(slots.maxConcurrency)"
            case .floating(let floating): "\(floating.key)~"
            case .rate(let rate): name(rate)
            case nil: "?"
            }
        }.joined(separator: ",")
    }

    private static func name(_ rate: StorageV1.RateLimit) -> String {
        let isCalendar = rate.behavior & RateBehavior.calendar != 0
        let period = isCalendar ? CalendarPeriod(rawValue: rate.durationMs).map { "\($0)" } : nil
        var extras: [String] = []
        if rate.hits != 1 { extras.append("hits=\(rate.hits)") }
        if rate.algorithm == 1 { extras.append("leaky") }
        if rate.burst != 0 { extras.append("burst=\(rate.burst)") }
        if rate.behavior & RateBehavior.resetRemaining != 0 { extras.append("reset") }
        if rate.behavior & RateBehavior.drainOverLimit != 0 { extras.append("drain") }
        let window = period ?? "\(ScenarioTime(milliseconds: rate.durationMs))"
        return "\(rate.uniqueKey)@\(rate.limit)/\(window)" + (extras.isEmpty ? "" : "(\(extras.joined(separator: ",")))")
    }
}
