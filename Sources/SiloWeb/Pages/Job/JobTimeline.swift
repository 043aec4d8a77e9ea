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
        let from: Timestamp
        let to: Timestamp
        let title: String
        var milliseconds: Double { Double(to - from) }
    }
    private let spans: [Span]
    private let now: Timestamp
    private let isOver: Bool

    /// - Parameter isLast: the job has no later attempts than those that are there.
    init(_ job: SiloV1.GetJobResponse, isLast: Bool, now: Timestamp) {
        self.now = now
        isOver = !isLast || [.succeeded, .failed, .cancelled].contains(job.status)
        let isPart = (job.attempts.first?.attemptNumber ?? 1) > 1
        var spans: [Span] = []
        var last = isPart ? nil : job.enqueuedAtMs.map { Timestamp($0) }
        func add(_ kind: Kind, _ from: Timestamp, _ to: Timestamp, _ name: String = "") {
            let length = Quantity.duration(milliseconds: Double(max(0, to - from)))
            let title = name.isEmpty ? kind.title : "\(name) \(kind.title)"
            spans.append(Span(kind: kind, from: from, to: max(from, to), title: "\(title) \(length)"))
        }
        // Before its first attempt: it may have been asked to start later.
        func wait(_ from: Timestamp, _ to: Timestamp, _ name: String) {
            let due = min(max(from, Timestamp(job.enqueueTimeMs)), to)
            if due > from { add(.scheduled, from, due, name) }
            if due == from || to > due { add(.waited, due, to, name) }
        }
        for attempt in job.attempts {
            let name = "before attempt \(attempt.attemptNumber)"
            let start = Timestamp(attempt.startedAtMs)
            if let last, attempt.attemptNumber == 1 { wait(last, start, name) }
            else if let last { add(.between, last, start, name) }
            let end = attempt.finishedAtMs.map { Timestamp($0) } ?? now
            add(attempt.status == .failed ? .failed : .ran, start, end, "attempt \(attempt.attemptNumber)")
            last = end
        }
        let end = isOver ? Timestamp(job.statusChangedAtMs) : now
        if isLast, let last, job.attempts.last?.finishedAtMs != nil || job.attempts.isEmpty, end > last {
            let name = isOver ? "then" : "until now"
            if job.attempts.isEmpty { wait(last, end, name) } else { add(.between, last, end, name) }
        }
        self.spans = spans
    }

    /// What is narrower than can be seen, joined with what is beside it.
    /// - Parameter scale: parts of the width that a millisecond takes.
    private func drawn(_ scale: Double) -> [Span] {
        func isNarrow(_ span: Span) -> Bool { span.milliseconds * scale < Self.seen }
        return spans.reduce(into: []) { drawn, span in
            guard let last = drawn.last, isNarrow(last), isNarrow(span) else { return drawn.append(span) }
            let kinds = [last.kind, span.kind]
            let kind = [Kind.failed, .ran].first(where: kinds.contains) ?? span.kind
            let (from, to) = (min(last.from, span.from), max(last.to, span.to))
            drawn[drawn.count - 1] = Span(kind: kind, from: from, to: to, title: "\(last.title), \(span.title)")
        }
    }

    /// Of a width of 1000.
    private static let seen = 2.0

    var html: HTML {
        // Attempts that were imported may have any times, in any order.
        guard let begin = spans.map(\.from).min(), let end = spans.map(\.to).max() else {
            return "<p class=\"hint\">Nothing has happened yet.</p>"
        }
        let scale = 1000 / Double(max(1, end - begin))
        let bars = drawn(scale).map { span -> HTML in
            let x = Double(span.from - begin) * scale
            // What is short is seen all the same.
            let width = max(Self.seen, span.milliseconds * scale)
            return """
                <rect class="\(span.kind.rawValue)" x="\(Self.tenths(min(x, 998)))" y="4" \
                width="\(Self.tenths(width))" height="32">\
                <title>\(span.title)</title></rect>
                """
        }
        let legend = Kind.allCases.compactMap { kind -> HTML? in
            let own = spans.filter { $0.kind == kind }
            guard !own.isEmpty else { return nil }
            let sum = own.reduce(0.0) { $0 + $1.milliseconds }
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
            <p class="span"><span>\(When(begin, now: now).html)</span><span>\(whole)</span>\
            <span>\(isOver ? When(end, now: now).html : "now")</span></p>\
            <ul class="legend">\(legend)</ul></figure>
            """
    }

    private static func tenths(_ number: Double) -> String { String(Double(Int64((number * 10).rounded())) / 10) }
}
