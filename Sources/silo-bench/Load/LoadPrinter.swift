import CommandLineTool
import Foundation

/// What the load command prints.
struct LoadPrinter {
    let isJSON: Bool
    let hasJSONProgress: Bool

    private struct Progress: Encodable {
        var elapsed_s: Double
        var completed: Int
        var completed_per_s: Double
        var enqueued: Int
        var enqueued_per_s: Double
        var empty_polls: Int?
        var failures: Int
    }

    func progress(_ counts: Counts, elapsed: Double, rates: (enqueue: Double, report: Double)) {
        let line: String
        if hasJSONProgress {
            line = JSON.text(Progress(
                elapsed_s: elapsed, completed: counts.reported, completed_per_s: rates.report, enqueued: counts.enqueued,
                enqueued_per_s: rates.enqueue, empty_polls: counts.polls?.empty, failures: counts.failures
            ))
        } else {
            line = "\(Text.number(elapsed, 1)) s  completed \(counts.reported) (\(Text.number(rates.report, 0))/s)  "
                + "enqueued \(counts.enqueued) (\(Text.number(rates.enqueue, 0))/s)"
                + (counts.polls.map { "  empty polls \($0.empty)" } ?? "")
                + (counts.failures > 0 ? "  failures \(counts.failures), last: \(counts.failure ?? "")" : "")
        }
        if isJSON { Program.complain(line) } else { say(line) }
    }

    private struct Totals: Encodable {
        var elapsed_s: Double
        var completed: Int
        var completed_per_s: Double
        var enqueued: Int
        var enqueued_per_s: Double
        var polls: Int?
        var empty_polls: Int?
        var failures: Int
        var failure: String?
        var backlog: Int
        var enqueue_ms: Samples.Summary
        var lease_ms: Samples.Summary
        var report_ms: Samples.Summary
        var life_cycle_ms: Samples.Summary
    }

    /// - Parameters:
    ///   - atEnd: when enqueuing ended, after `elapsed` seconds.
    ///   - drained: when the workers had ended too.
    func totals(_ atEnd: Counts, _ drained: Counts, _ latencies: Latencies, elapsed: Double) {
        let totals = Totals(
            elapsed_s: elapsed, completed: atEnd.reported, completed_per_s: Double(atEnd.reported) / elapsed,
            enqueued: atEnd.enqueued, enqueued_per_s: Double(atEnd.enqueued) / elapsed, polls: atEnd.polls?.all,
            empty_polls: atEnd.polls?.empty, failures: drained.failures, failure: drained.failure,
            backlog: drained.enqueued - drained.reported, enqueue_ms: latencies.enqueue.summary,
            lease_ms: latencies.lease.summary, report_ms: latencies.report.summary,
            life_cycle_ms: latencies.lifeCycle.summary
        )
        guard !isJSON else { return say(JSON.text(totals)) }
        let rows = [
            ("enqueue", totals.enqueue_ms), ("lease", totals.lease_ms), ("report", totals.report_ms),
            ("life cycle", totals.life_cycle_ms),
        ]
        let polls = atEnd.polls.map { polls in
            "\npolls       \(polls.all), \(Text.number(100 * Double(polls.empty) / Double(max(1, polls.all)), 1)) % empty"
        }
        say(
            """

            time        \(Text.number(elapsed, 1)) s
            completed   \(totals.completed), \(Text.number(totals.completed_per_s, 0))/s
            enqueued    \(totals.enqueued), \(Text.number(totals.enqueued_per_s, 0))/s\(polls ?? "")
            failures    \(totals.failures)\(totals.failure.map { ", last: \($0)" } ?? "")
            left over   \(totals.backlog)

            ms          \(Text.right("calls", 9)) \(["p50", "p95", "p99", "max"].map { Text.right($0, 9) }.joined(separator: " "))
            """)
        for (name, summary) in rows where summary.count > 0 {
            let values = [summary.p50, summary.p95, summary.p99, summary.max].map { Text.right(Text.number($0, 2), 9) }
            say(Text.left(name, 12) + Text.right("\(summary.count)", 9) + " " + values.joined(separator: " "))
        }
    }
}

/// Figures for other programs.
enum JSON {
    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
