import SiloAPI
import SiloCore

/// The life of a job, drawn to scale: when it was not due yet, when it waited, when it ran, and when it rested between attempts.
struct JobTimeline {
    private enum Kind: String, CaseIterable {
        case scheduled, waited, ran, failed, between
        var title: String {
            switch self {
            case .scheduled: "was not due yet"
            case .waited: "waited"
            case .ran: "ran"
            case .failed: "ran and failed"
            // For a retry, or until somebody restarted it.
            case .between: "rested between attempts"
            }
        }
    }
    private struct Span {
        let kind: Kind
        let from: Int64
        let to: Int64
        let title: String
    }
    private let spans: [Span]
    private let now: Int64
    private let isOver: Bool

    /// - Parameter isLast: the job has no later attempts than those that are there.
    init(_ job: SiloV1.GetJobResponse, isLast: Bool, now: Timestamp) {
        self.now = now.milliseconds
        isOver = !isLast || [.succeeded, .failed, .cancelled].contains(job.status)
        let isPart = (job.attempts.first?.attemptNumber ?? 1) > 1
        var spans: [Span] = []
        var last = isPart ? nil : job.enqueuedAtMs
        func add(_ kind: Kind, _ from: Int64, _ to: Int64, _ name: String = "") {
            let length = Quantity.duration(milliseconds: Double(max(0, to - from)))
            let title = name.isEmpty ? kind.title : "\(name) \(kind.title)"
            spans.append(Span(kind: kind, from: from, to: max(from, to), title: "\(title) \(length)"))
        }
        // Before its first attempt: it may have been asked to start later.
        func wait(_ from: Int64, _ to: Int64, _ name: String) {
            let due = min(max(from, job.enqueueTimeMs), to)
            if due > from { add(.scheduled, from, due, name) }
            if due == from || to > due { add(.waited, due, to, name) }
        }
        for attempt in job.attempts {
            let name = "before attempt \(attempt.attemptNumber)"
            if let last, attempt.attemptNumber == 1 { wait(last, attempt.startedAtMs, name) }
            else if let last { add(.between, last, attempt.startedAtMs, name) }
            let end = attempt.finishedAtMs ?? now.milliseconds
            add(attempt.status == .failed ? .failed : .ran, attempt.startedAtMs, end, "attempt \(attempt.attemptNumber)")
            last = end
        }
        let end = isOver ? job.statusChangedAtMs : now.milliseconds
        if isLast, let last, job.attempts.last?.finishedAtMs != nil || job.attempts.isEmpty, end > last {
            let name = isOver ? "then" : "until now"
            if job.attempts.isEmpty { wait(last, end, name) } else { add(.between, last, end, name) }
        }
        self.spans = spans
    }

    /// What is narrower than can be seen, joined with what is beside it.
    /// - Parameter scale: parts of the width that a millisecond takes.
    private func drawn(_ scale: Double) -> [Span] {
        func isNarrow(_ span: Span) -> Bool { Double(span.to - span.from) * scale < Self.seen }
        return spans.reduce(into: []) { drawn, span in
            guard let last = drawn.last, isNarrow(last), isNarrow(span) else { return drawn.append(span) }
            let kinds = [last.kind, span.kind]
            let kind = [Kind.failed, .ran].first(where: kinds.contains) ?? span.kind
            drawn[drawn.count - 1] = Span(kind: kind, from: last.from, to: span.to, title: "\(last.title), \(span.title)")
        }
    }

    /// Of a width of 1000.
    private static let seen = 2.0

    var html: HTML {
        guard let first = spans.first, let last = spans.last else { return "<p class=\"hint\">Nothing has happened yet.</p>" }
        let (begin, end) = (first.from, max(last.to, first.from + 1))
        let scale = 1000 / Double(end - begin)
        let bars = drawn(scale).map { span -> HTML in
            let x = Double(span.from - begin) * scale
            // What is short is seen all the same.
            let width = max(Self.seen, Double(span.to - span.from) * scale)
            return """
                <rect class="\(span.kind.rawValue)" x="\(Self.tenths(min(x, 998)))" y="4" \
                width="\(Self.tenths(width))" height="32">\
                <title>\(span.title)</title></rect>
                """
        }
        let legend = Kind.allCases.compactMap { kind -> HTML? in
            let own = spans.filter { $0.kind == kind }
            guard !own.isEmpty else { return nil }
            let sum = own.reduce(0.0) { $0 + Double($1.to - $1.from) }
            return """
                <li class="\(kind.rawValue)"><span class="swatch" aria-hidden="true"></span>\(kind.title) \
                <b>\(Quantity.duration(milliseconds: sum))</b></li>
                """
        }
        let whole = Quantity.duration(milliseconds: Double(end - begin))
        let shown = spans.suffix(20).map(\.title).joined(separator: ", ")
        return """
            <figure class="lifeline"><svg viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" \
            aria-label="Timeline over \(whole): \(shown)">\(bars)</svg>\
            <p class="span"><span>\(When(Timestamp(begin), now: Timestamp(now)).html)</span><span>\(whole)</span>\
            <span>\(isOver ? When(Timestamp(end), now: Timestamp(now)).html : "now")</span></p>\
            <ul class="legend">\(legend)</ul></figure>
            """
    }

    private static func tenths(_ number: Double) -> String { String(Double(Int64((number * 10).rounded())) / 10) }
}
