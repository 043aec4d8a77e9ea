/// A part of a whole as a bar.
struct Gauge {
    private let share: Double

    init(_ value: Double, of most: Double) { share = most > 0 ? min(1, max(0, value / most)) : 0 }

    var html: HTML {
        let width = Int((share * 1000).rounded())
        return """
            <svg class="gauge" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">\
            <rect class="rail" width="1000" height="10"/><rect class="fill" width="\(width)" height="10"/></svg>
            """
    }

    /// With words beside it.
    /// - Parameter isWide: as long as there is room.
    func html(_ text: HTML, isWide: Bool = false) -> HTML {
        "<div class=\"meter\(HTML.when(isWide, " wide"))\">\(html)<span>\(text)</span></div>"
    }
}
