import SiloCore

/// What happened lately.
struct OverviewCharts {
    private let timeline: Timeline
    private let bounds: [Int64]
    private let span: OverviewPage.Span

    init(_ state: History.State, _ span: OverviewPage.Span) {
        timeline = span.timeline(state)
        bounds = state.now.bounds
        self.span = span
    }

    var all: [Chart] {
        [
            jobs, backlog, latencies("start-chart", "Ready to started", \.readyToStart),
            latencies("run-chart", "Run time", \.runTime),
        ]
    }

    private var jobs: Chart {
        chart("jobs-chart", "Jobs per second", Quantity.rate, [
            line("enqueued", 1) { $0.perSecond($0.enqueued) }, line("started", 2) { $0.perSecond($0.started) },
            line("succeeded", 3) { $0.perSecond($0.succeeded) }, line("failed", 4) { $0.perSecond($0.failed) },
        ])
    }

    private var backlog: Chart {
        chart("backlog-chart", "Jobs", Quantity.short, [
            line("backlog", 1) { Double($0.backlog) }, line("running", 2) { Double($0.running) },
        ])
    }

    private func latencies(_ id: String, _ title: String, _ part: KeyPath<Timeline.Slot, Latencies>) -> Chart {
        let shares = [("p50", 1, 0.5), ("p95", 5, 0.95), ("p99", 4, 0.99)]
        var chart = chart(id, title, { Quantity.duration(milliseconds: $0) }, shares.map { name, colour, share in
            line(name, colour) { [bounds] in $0[keyPath: part].quantile(share, bounds) }
        })
        chart.scale = .logarithmic
        return chart
    }

    private func line(_ name: String, _ colour: Int, _ value: (Timeline.Slot) -> Double?) -> Chart.Series {
        Chart.Series(name: name, colour: colour, values: timeline.slots.map { $0.flatMap(value) })
    }

    private func chart(
        _ id: String, _ title: String, _ format: @escaping @Sendable (Double) -> String, _ series: [Chart.Series]
    ) -> Chart {
        Chart(
            id: id, title: title, series: series, format: format, begin: span.begin,
            slotSeconds: Int(timeline.slotMilliseconds / 1000))
    }
}
