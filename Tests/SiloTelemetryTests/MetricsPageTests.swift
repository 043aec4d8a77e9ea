import Foundation
import SiloTelemetry
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct MetricsPageTests {
    private let jobs = Metric(.counter, "silo_jobs_total", ["task_group", "shard"], "Jobs that came")
    private let level = Metric(.gauge, "silo_level", [], "How full it is")

    private func text(_ fill: (inout MetricsPage) -> Void) -> String {
        var page = MetricsPage()
        fill(&page)
        return String(decoding: page.bytes, as: UTF8.self)
    }

    @Test func labelsStandInOrderAndWholeNumbersHaveNoPoint() {
        let labels = MetricLabels([("task_group", "default"), ("shard", "0")])
        let page = text {
            $0.add(level, .none, 0.25)
            $0.add(jobs, labels, 3.0)
        }
        #expect(page == """
            # HELP silo_jobs_total Jobs that came.
            # TYPE silo_jobs_total counter
            silo_jobs_total{shard="0",task_group="default"} 3
            # HELP silo_level How full it is.
            # TYPE silo_level gauge
            silo_level 0.25

            """)
    }

    @Test func whatCallersNameIsEscaped() {
        let page = text { $0.add(jobs, MetricLabels("task_group", "a\"b\\c\nd é"), 1) }
        #expect(page.contains(#"silo_jobs_total{task_group="a\"b\\c\nd é"} 1"# + "\n"))
    }

    @Test func numbersOfEverySizeAreShown() {
        let values: [(Double, String)] = [
            (0, "0"), (-7, "-7"), (1e14, "100000000000000"), (0.001, "0.001"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
            (.nan, "NaN"),
        ]
        for (value, shown) in values { #expect(text { $0.add(level, .none, value) }.hasSuffix("\nsilo_level \(shown)\n")) }
        #expect(text { $0.add(level, .none, Int64.min) }.hasSuffix("silo_level -9223372036854775808\n"))
    }

    @Test func aHistogramShowsHowManyWereNoLarger() {
        let wait = Metric(.histogram, "silo_wait_seconds", [], "Waits")
        let histogram = Histogram(.seconds([0.001, 0.5, 10]))
        #expect(text { $0.add(wait, .none, histogram) } == "", "nothing was recorded")
        for microseconds: Int64 in [0, 1000, 1001, 500_000, 20_000_000] { histogram.record(microseconds) }
        #expect(text { $0.add(wait, MetricLabels("shard", "0"), histogram) }.hasSuffix("""
            silo_wait_seconds_bucket{shard="0",le="0.001"} 2
            silo_wait_seconds_bucket{shard="0",le="0.5"} 4
            silo_wait_seconds_bucket{shard="0",le="10"} 4
            silo_wait_seconds_bucket{shard="0",le="+Inf"} 5
            silo_wait_seconds_sum{shard="0"} 20.502001
            silo_wait_seconds_count{shard="0"} 5

            """))
    }

    @Test func namesWithoutTheirOwnShareOne() {
        let named = Mutex<Set<String>>(["a", "b", "other"])
        let counters = NamedMetrics(
            others: "other", isNamed: { name in named.withLock { $0.contains(name) } }, make: { (name: $0, counter: Counter()) },
            add: { $1.counter.add(Int($0.counter.value)) })
        var counts: [String: UInt64] { Dictionary(counters.all.map { ($0.name, $0.counter.value) }) { first, _ in first } }
        for name in ["a", "b", "c", "d", "a", "other"] { counters.count(name) { $0.counter.add() } }
        #expect(counts == ["a": 2, "b": 1, "other": 3])
        named.withLock { $0 = ["b", "c"] }
        counters.count("a") { $0.counter.add() }
        #expect(counts == ["a": 3, "b": 1, "other": 3], "not told yet")
        counters.merge("a")
        counters.merge("none")
        for name in ["a", "c"] { counters.count(name) { $0.counter.add() } }
        #expect(counts == ["b": 1, "c": 1, "other": 7])
    }

    @Test func aHistogramTakesWhatAnotherRecorded() {
        let (sum, other) = (Histogram(HistogramBuckets([1, 4])), Histogram(HistogramBuckets([1, 4])))
        for value: Int64 in [1, 5] { sum.record(value) }
        for value: Int64 in [2, 4, 7] { other.record(value) }
        sum.add(other)
        #expect(sum.each == [1, 2, 2] && sum.sum == 19)
    }

    @Test
    func prometheusReadsThePage() async throws {
        let histogram = Histogram(HistogramBuckets([1, 4, 16]))
        histogram.record(3)
        let page = text {
            $0.add(Metric(.histogram, "silo_batch_rows", ["shard"], "Rows in a batch"), MetricLabels("shard", "x"), histogram)
            $0.add(jobs, MetricLabels([("task_group", "a\"b\\c\nd"), ("shard", "0")]), 3)
            $0.add(level, .none, 1e-7)
        }
        let folder = try TemporaryFolder()
        try page.write(toFile: "\(folder.path)/page", atomically: true, encoding: .utf8)
        let promtool = "\(Repository.path)/.deps/bin/promtool"
        let ending = try await ChildProcess.run("/bin/sh", ["-c", "\(promtool) check metrics < \(folder.path)/page"])
        #expect(ending.status == 0 && ending.output == "", "\(ending.output)")
    }
}
