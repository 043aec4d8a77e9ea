import SiloCore

/// The numbers of this moment.
struct OverviewTiles {
    private let now: Figures
    private let lately: Timeline.Slot?
    private let minute: Timeline.Slot?

    init(_ state: History.State) {
        now = state.now
        lately = Timeline.Slot(merging: state.seconds.slots.suffix(History.rateSeconds))
        minute = Timeline.Slot(merging: state.seconds.slots)
    }

    /// What happens in a second.
    var rates: HTML {
        let failed = lately.flatMap { $0.perSecond($0.failed) } ?? 0
        return """
            \(rate("Enqueued", lately?.enqueued))\(rate("Started", lately?.started))\
            \(rate("Finished", lately.map { $0.succeeded + $0.failed }))\
            \(tile("Failed", Quantity.rate(failed), lately == nil ? "" : failedShare, isBad: failed > 0))
            """
    }

    /// What waits, and for how long.
    var waits: HTML {
        let backlog = now.jobs.ready + now.jobs.waiting
        let parts = "\(Quantity.count(now.jobs.ready)) ready, \(Quantity.count(now.jobs.waiting)) at limits"
        let oldest = now.oldestReadyMilliseconds.map { Quantity.duration(milliseconds: Double($0)) } ?? "–"
        return """
            \(tile("Backlog", Quantity.count(backlog), parts))\
            \(tile("Oldest wait", oldest, "of a job that is ready"))\
            \(tile("Running", Quantity.count(now.jobs.running), Quantity.of(now.jobs.waitingWorkers, "worker") + " waiting"))\
            \(quantiles("Ready to started", minute?.readyToStart))\(quantiles("Run time", minute?.runTime))
            """
    }

    /// Of attempts that ended, over a minute.
    private var failedShare: String {
        guard let minute, minute.succeeded + minute.failed > 0 else { return "nothing ended in a minute" }
        let share = Double(minute.failed) / Double(minute.succeeded + minute.failed)
        return Quantity.short(share * 100) + " % of the last minute"
    }

    private func rate(_ title: String, _ count: UInt64?) -> HTML {
        guard let lately, let count, let rate = lately.perSecond(count) else { return tile(title, "–", "not yet known") }
        let inMinute = minute.flatMap { minute -> Double? in
            switch title {
            case "Enqueued": minute.perSecond(minute.enqueued)
            case "Started": minute.perSecond(minute.started)
            default: minute.perSecond(minute.succeeded + minute.failed)
            }
        }
        return tile(title, Quantity.rate(rate), inMinute.map { Quantity.rate($0) + " over a minute" } ?? "")
    }

    private func quantiles(_ title: String, _ latencies: Latencies?) -> HTML {
        func value(_ share: Double) -> String {
            latencies?.quantile(share, now.bounds).map { Quantity.duration(milliseconds: $0) } ?? "–"
        }
        return """
            <div class="tile wide"><h2>\(title)</h2><dl class="quantiles"><div><dt>p50</dt><dd>\(value(0.5))</dd></div>\
            <div><dt>p95</dt><dd>\(value(0.95))</dd></div><div><dt>p99</dt><dd>\(value(0.99))</dd></div></dl>\
            <p class="hint">over the last minute</p></div>
            """
    }

    private func tile(_ title: String, _ value: String, _ hint: String, isBad: Bool = false) -> HTML {
        let kind: HTML = .when(isBad, " bad")
        return "<div class=\"tile\(kind)\"><h2>\(title)</h2><p class=\"value\">\(value)</p><p class=\"hint\">\(hint)</p></div>"
    }
}
