import SiloCore

/// Counts in equal spans of time, as bars.
struct Bars {
    let title: String
    let counts: [UInt64]
    let from: Timestamp
    let slotMilliseconds: Int64
    /// Spans from this one on are not counted whole; nil: all are.
    let wholeSlots: Int?
    /// Such as `job`.
    let what: String
    let now: Timestamp

    private static let height = 160.0

    var html: HTML {
        let most = max(1, counts.max() ?? 1)
        let width = 1000 / Double(max(1, counts.count))
        let bars = counts.enumerated().map { index, count -> HTML in
            let height = count == 0 ? 0 : max(2, Double(count) / Double(most) * (Self.height - 8))
            let begin = When(from + Int64(index) * slotMilliseconds, now: now).relative
            return """
                <rect x="\(Self.tenths(Double(index) * width + width * 0.08))" y="\(Self.tenths(Self.height - height))" \
                width="\(Self.tenths(width * 0.84))" height="\(Self.tenths(height))">\
                <title>\(begin): \(Quantity.of(count, what))</title></rect>
                """
        }
        let veil: HTML = wholeSlots.map { slots in
            let x = Double(slots) * width
            return """
                <rect class="veil" x="\(Self.tenths(x))" y="0" width="\(Self.tenths(max(0, 1000 - x)))" height="160">\
                <title>not counted whole</title></rect>
                """
        } ?? .empty
        let end = from + Int64(counts.count) * slotMilliseconds
        let middle = from + Int64(counts.count) * slotMilliseconds / 2
        return """
            <figure class="bars"><figcaption><h2>\(title)</h2><span class="hint">at most \(Quantity.of(most, what)) in \
            \(Quantity.duration(milliseconds: Double(slotMilliseconds)))</span></figcaption>\
            <svg viewBox="0 0 1000 160" preserveAspectRatio="none" role="img" aria-label="\(title)">\(bars)\(veil)</svg>\
            <p class="span"><span>now</span><span>\(When(middle, now: now).html)</span>\
            <span>\(When(end, now: now).html)</span></p></figure>
            """
    }

    private static func tenths(_ number: Double) -> String { String(Double(Int64((number * 10).rounded())) / 10) }
}
