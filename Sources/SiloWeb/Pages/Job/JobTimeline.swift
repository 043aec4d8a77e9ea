import SiloAPI
import SiloCore

/// The life of a job, drawn to scale: when it waited, when it ran, and when it waited for another try.
struct JobTimeline {
    private enum Kind: String {
        case waited, ran, failed, backedOff = "backed-off"
        var title: String {
            switch self {
            case .waited: "waited"
            case .ran: "ran"
            case .failed: "ran and failed"
            case .backedOff: "waited for a retry"
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

    init(_ job: SiloV1.GetJobResponse, now: Timestamp) {
        self.now = now.milliseconds
        isOver = [.succeeded, .failed, .cancelled].contains(job.status)
        let isPart = (job.attempts.first?.attemptNumber ?? 1) > 1
        var spans: [Span] = []
        var last = isPart ? nil : job.enqueuedAtMs
        func add(_ kind: Kind, _ from: Int64, _ to: Int64, _ name: String) {
            let length = Quantity.duration(milliseconds: Double(max(0, to - from)))
            spans.append(Span(kind: kind, from: from, to: max(from, to), title: "\(name) \(length)"))
        }
        for attempt in job.attempts {
            let waited: Kind = attempt.attemptNumber == 1 ? .waited : .backedOff
            if let last { add(waited, last, attempt.startedAtMs, "before attempt \(attempt.attemptNumber) \(waited.title)") }
            let end = attempt.finishedAtMs ?? now.milliseconds
            let kind: Kind = attempt.status == .failed ? .failed : .ran
            add(kind, attempt.startedAtMs, end, "attempt \(attempt.attemptNumber) \(kind.title)")
            last = end
        }
        let end = isOver ? job.statusChangedAtMs : now.milliseconds
        if let last, job.attempts.last?.finishedAtMs != nil || job.attempts.isEmpty, end > last {
            let kind: Kind = job.attempts.isEmpty ? .waited : .backedOff
            add(kind, last, end, isOver ? "then \(kind.title)" : "\(kind.title) until now")
        }
        self.spans = spans
    }

    var html: HTML {
        guard let first = spans.first, let last = spans.last else { return "<p class=\"hint\">Nothing has happened yet.</p>" }
        let (begin, end) = (first.from, max(last.to, first.from + 1))
        let scale = 1000 / Double(end - begin)
        let bars = spans.map { span -> HTML in
            let x = Double(span.from - begin) * scale
            // What is short is seen all the same.
            let width = max(2, Double(span.to - span.from) * scale)
            return """
                <rect class="\(span.kind.rawValue)" x="\(Self.tenths(min(x, 998)))" y="4" \
                width="\(Self.tenths(width))" height="32">\
                <title>\(span.title)</title></rect>
                """
        }
        let kinds: [Kind] = [.waited, .ran, .failed, .backedOff]
        let legend = kinds.compactMap { kind -> HTML? in
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
