import Foundation
import SiloTelemetry
import TestSupport
import Testing

@testable import SiloServer

/// What is written about metrics names those that there are.
@Suite(.timeLimit(.minutes(10))) struct MetricTableTests {
    private static let begin = "<!-- metrics: made by SILO_REWRITE=1 swift test --filter MetricTableTests -->\n"
    private static let end = "<!-- end of metrics -->"

    private static var table: String {
        MetricNames.all.map { subject, metrics in
            let rows = metrics.map { metric in
                "| `\(metric.name)` | \(metric.kind.rawValue) | \(metric.labels.joined(separator: ", ")) | \(metric.help) |\n"
            }
            return "### \(subject)\n\n| name | kind | labels | what |\n|---|---|---|---|\n" + rows.joined()
        }.joined(separator: "\n")
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(Repository.path)/\(path)", encoding: .utf8)
    }

    @Test func theTableOfTheDocumentsIsCurrent() throws {
        let document = try Self.text("docs/observability.md")
        let begin = try #require(document.range(of: Self.begin))
        let end = try #require(document.range(of: Self.end))
        let wanted = "\n\(Self.table)\n"
        if ProcessInfo.processInfo.environment["SILO_REWRITE"] != nil {
            let new = document.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: wanted)
            return try new.write(toFile: "\(Repository.path)/docs/observability.md", atomically: true, encoding: .utf8)
        }
        #expect(String(document[begin.upperBound..<end.lowerBound]) == wanted, "run it with SILO_REWRITE=1")
    }

    @Test func namesAreUniqueAndCountersEndAsSuch() {
        let all = MetricNames.all.flatMap(\.metrics)
        #expect(Set(all.map(\.name)).count == all.count)
        for metric in all {
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(Set(metric.labels).isDisjoint(with: ["tenant", "key", "queue", "job"]), "\(metric.name)")
            #expect(!metric.help.hasSuffix("."), "\(metric.name)")
        }
    }

    /// Base units, and the unit last (https://prometheus.io/docs/practices/naming).
    @Test func unitsAreThoseThatPrometheusWants() {
        // Upstream's, whose dashboards know them.
        let kept: Set = ["silo_ready_to_start_latency_ms", "silo_slatedb_bytes_compacted_total"]
        let others: Set<Substring> = [
            "ms", "milliseconds", "microseconds", "us", "minutes", "hours", "days", "kib", "mib", "gib", "kb", "mb", "percent",
        ]
        for metric in MetricNames.all.flatMap(\.metrics) where !kept.contains(metric.name) {
            let words = metric.name.split(separator: "_")
            #expect(others.isDisjoint(with: words), "\(metric.name)")
            let last = words.last == "total" ? words.dropLast().last : words.last
            for unit in ["seconds", "bytes"] where words.contains(Substring(unit)) {
                #expect(last == Substring(unit), "\(metric.name)")
            }
            if metric.kind == .histogram || metric.kind == .summary {
                #expect(["seconds", "bytes", "rows"].contains(words.last ?? ""), "\(metric.name)")
            }
        }
    }

    @Test(arguments: [
        "deploy/grafana/silo.json", "deploy/prometheus/alerts.yml", "deploy/prometheus/recording.yml",
        "deploy/prometheus/alerts.test.yml", "docs/troubleshooting.md",
    ])
    func whatUsesMetricsNamesThoseThatThereAre(path: String) throws {
        let known = Set(MetricNames.all.flatMap(\.metrics).map(\.name))
        // What rules record has colons.
        let words = try Self.text(path).matches(of: /[:\w]+/).map { String($0.0) }.filter {
            ($0.hasPrefix("silo_") || $0.hasPrefix("process_")) && !$0.contains(":")
        }
        #expect(words.count > 3)
        for word in Set(words) {
            let base = word.replacing(/_(bucket|sum|count)$/, with: "")
            #expect(known.contains(word) || known.contains(base), "\(path) names \(word)")
        }
    }

    @Test func everyAlertLeadsToAnAnswer() throws {
        let headings = try Self.text("docs/troubleshooting.md").split(separator: "\n").filter { $0.hasPrefix("## ") }
        let anchors = Set(headings.map { $0.dropFirst(3).lowercased().replacing(" ", with: "-").replacing(",", with: "") })
        let alerts = try Self.text("deploy/prometheus/alerts.yml")
        let links = alerts.matches(of: /troubleshooting\.md#([a-z-]+)/).map { String($0.1) }
        #expect(links.count > 10)
        for link in links { #expect(anchors.contains(link), "\(link)") }
    }

    @Test
    func rulesAreSoundAndFireWhenTheyShould() async throws {
        let folder = "\(Repository.path)/deploy/prometheus"
        for command in ["check rules alerts.yml recording.yml", "test rules alerts.test.yml", "check config prometheus.yml"] {
            let promtool = "\(Repository.path)/.deps/bin/promtool"
            let ending = try await ChildProcess.run("/bin/sh", ["-c", "cd \(folder) && \(promtool) \(command)"])
            #expect(ending.status == 0, "\(command): \(ending.output)")
        }
    }
}
