/// A bar for each row, below each other, with what it is about and its number.
struct ResultBars {
    struct Bar {
        let label: HTML
        /// Nil: there is none.
        let value: Double?
        /// As the server has it.
        let text: String
    }
    let title: String
    /// Which of the colours, from 1.
    let colour: Int
    let bars: [Bar]
    /// How many rows there are.
    let count: Int

    static let rowsMax = 50
    private static let width = 1000.0

    init(title: String, colour: Int, bars: [Bar], of count: Int) {
        self.title = title
        self.colour = colour
        self.bars = bars
        self.count = count
    }

    var html: HTML {
        let values = bars.compactMap(\.value)
        let low = min(0, values.min() ?? 0)
        let high = max(0, values.max() ?? 0)
        let items = bars.map { bar -> HTML in
            """
            <li><span class="label">\(bar.label)</span><svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">\
            <rect class="rail" width="1000" height="10"/>\(Self.rect(bar.value, low, high - low))</svg>\
            <span class="value">\(bar.text)</span></li>
            """
        }
        let cut: HTML = .when(count > bars.count, .hint("The first \(bars.count) of \(Quantity.of(count, "row"))."))
        return """
            <figure class="result-bars c\(colour)"><figcaption><h3>\(title)</h3></figcaption><ol>\(items)</ol>\(cut)</figure>
            """
    }

    private static func rect(_ value: Double?, _ low: Double, _ range: Double) -> HTML {
        guard let value, value != 0 else { return .empty }
        let from = (min(0, value) - low) / range * Self.width
        // What is there is seen.
        let width = min(Self.width, max(2, abs(value) / range * Self.width))
        return "<rect class=\"fill\" x=\"\(tenths(min(from, Self.width - width)))\" width=\"\(tenths(width))\" height=\"10\"/>"
    }

    private static func tenths(_ number: Double) -> String { String(Double(Int64((number * 10).rounded())) / 10) }
}
