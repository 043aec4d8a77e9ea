import SiloAPI
import SiloCore

/// Why a job is not running: a sentence, and a picture of the way that is before it.
struct JobWait {
    private let answer: SiloV1.ExplainJobResponse
    private let tenant: String?
    private let now: Timestamp

    init(_ answer: SiloV1.ExplainJobResponse, tenant: String?, now: Timestamp) {
        self.answer = answer
        self.tenant = tenant
        self.now = now
    }

    var html: HTML {
        let steps = answer.obstacles.map(step)
        let isOpen: HTML = .when(answer.workersWaiting > 0, " open")
        let last: HTML = "<li class=\"step\(isOpen)\"><h3>A worker takes it</h3><p>\(poll)</p></li>"
        return """
            <section class="card"><h2>Why it waits</h2><p class="why">\(Name.visible(answer.summary))</p>\
            <ol class="way" aria-label="What is before it">\(steps)\(last)</ol>\(estimate)</section>
            """
    }

    private var poll: HTML {
        guard answer.workersWaiting == 0 else {
            return "\(Quantity.of(answer.workersWaiting, "worker waits", "workers wait")) for work of its group."
        }
        guard let last = answer.lastPollAtMs else { return "No worker has asked for work of its group yet." }
        return "A worker last asked for work of its group \(When(Timestamp(last), now: now).html)."
    }

    private var estimate: HTML {
        if let guess = answer.estimatedStartAtMs {
            return .hint("By what was seen lately it may start \(When(Timestamp(guess), now: now).html).")
        }
        guard let earliest = answer.earliestStartAtMs, earliest > now.milliseconds else { return .empty }
        return .hint("It starts \(When(Timestamp(earliest), now: now).html) at the earliest.")
    }

    private func step(_ obstacle: SiloV1.Obstacle) -> HTML {
        let kind: HTML = obstacle.blocksNow ? "step blocked" : "step"
        let mark: HTML = .when(obstacle.blocksNow, "<span class=\"badge warn\">here now</span>")
        let key: HTML = .when(
            !obstacle.key.isEmpty, " \(HTML.link(Link.limit(obstacle.key, tenant: tenant), Name(obstacle.key).html))")
        let text = Name.visible(String(obstacle.text.prefix(1000)))
        return """
            <li class="\(kind)"><h3>\(Self.title(obstacle.kind))\(key) \(mark)</h3><p>\(text)</p>\
            \(meter(obstacle))\(holders(obstacle))</li>
            """
    }

    private static func title(_ kind: SiloV1.Obstacle.Kind) -> String {
        switch kind {
        case .timer: "Its time"
        case .concurrency: "Concurrency limit"
        case .floating: "Floating limit"
        case .rate: "Rate limit"
        case .readyQueue: "Jobs before it"
        case .noWorker: "Nobody works"
        case .paused: "Paused"
        case .externalRate: "External rate limit"
        default: "Something else"
        }
    }

    /// How full a limit is.
    private func meter(_ obstacle: SiloV1.Obstacle) -> HTML {
        guard obstacle.max > 0 else { return .empty }
        return Gauge(Double(obstacle.inUse), of: Double(obstacle.max)).html(
            "\(Quantity.count(obstacle.inUse)) of \(Quantity.count(obstacle.max)) used")
    }

    private func holders(_ obstacle: SiloV1.Obstacle) -> HTML {
        guard !obstacle.holders.isEmpty else { return .empty }
        let rows = obstacle.holders.map { holder -> HTML in
            let since: HTML = holder.sinceMs > 0 ? " since \(When(Timestamp(holder.sinceMs), now: now).html)" : ""
            let worker: HTML = holder.workerId.isEmpty ? " waits for a worker" : " at \(Name(holder.workerId).html)\(since)"
            return "<li><a href=\"\(Link.job(holder.jobId, tenant: tenant))\">\(Name(holder.jobId).html)</a>\(worker)</li>"
        }
        let count = Quantity.of(obstacle.holders.count, "job")
        return "<details><summary>Held by \(count)</summary><ul class=\"names\">\(rows)</ul></details>"
    }
}

extension Visit {
    /// Why a job waits; nil: it does not, or nobody says.
    func wait(_ found: LocatedJob) async -> JobWait? {
        guard found.job.status == .scheduled, may(SiloV1.Silo.explainJob) else { return nil }
        var request = SiloV1.ExplainJobRequest()
        (request.shard, request.tenant, request.id) = (found.shard, found.tenant, found.job.id)
        // It may have begun to run meanwhile.
        guard let answer = try? await call(SiloV1.Silo.explainJob, request), answer.status == .scheduled else { return nil }
        return JobWait(answer, tenant: found.tenant, now: now)
    }
}
