import Foundation
import SiloCore

/// Numbers over a time or another number, as lines. Scripts show the values under the pointer, as of other charts.
struct ResultLines {
    struct Series {
        let name: String
        /// Which of the colours, from 1.
        let colour: Int
        /// In order of x.
        let points: [(x: Double, y: Double)]
    }
    /// What x is.
    let title: String
    let isTime: Bool
    let series: [Series]
    let now: Timestamp

    private static let width = 720.0
    private static let height = 160.0
    /// Of the box, above the upper end of the scale.
    private static let top = 8.0

    var html: HTML {
        let places = series.flatMap { $0.points.map { $0.x } }
        let (from, to) = (places.min() ?? 0, places.max() ?? 0)
        let scale = ResultScale(series.flatMap { $0.points.map { $0.y } })
        let legend = series.map { line -> HTML in
            let last = line.points.last.map { Self.text($0.y) } ?? "–"
            return """
                <li class="c\(line.colour)"><span class="swatch" aria-hidden="true"></span>\(line.name) <b>\(last)</b></li>
                """
        }
        let grid = scale.ticks.map { tick -> HTML in "<path d=\"M0 \(Self.tenths(Self.y(scale.position(tick))))H720\"/>" }
        let ticks = scale.ticks.reversed().map { tick -> HTML in "<li><span>\(Self.text(tick))</span></li>" }
        let low: HTML = .when(scale.low < 0, "<span class=\"lowest\" aria-hidden=\"true\">\(Self.text(scale.low))</span>")
        let lines = series.map { line -> HTML in
            let path = Self.path(line.points, from, to, scale)
            return "<path class=\"line c\(line.colour)\" data-name=\"\(line.name)\" d=\"\(path)\"/>"
        }
        return """
            <figure class="chart"><figcaption><h3>by \(title)</h3><ul class="legend">\(legend)</ul></figcaption>\
            <div class="plot"><svg viewBox="0 0 720 160" preserveAspectRatio="none" role="img" \
            aria-label="\(series.map(\.name).joined(separator: ", ")) by \(title)" data-low="\(String(scale.low))" \
            data-high="\(String(scale.high))" data-scale="linear" \
            data-x="\(isTime ? "time" : "number")" data-from="\(String(from))" data-to="\(String(to))">\
            <g class="grid">\(grid)</g>\(lines)</svg><ul class="ticks" aria-hidden="true">\(ticks)</ul>\(low)</div>\
            <p class="span"><span>\(end(from))</span><span>\(end(to))</span></p></figure>
            """
    }

    private func end(_ x: Double) -> HTML {
        isTime ? When(Timestamp(Int64(x)), now: now).html : "\(Self.text(x))"
    }

    private static func path(
        _ points: [(x: Double, y: Double)], _ from: Double, _ to: Double, _ scale: ResultScale
    ) -> String {
        var path = ""
        // Halves, for a difference may have no place in a number; and what is least has no half.
        let length = to / 2 - from / 2
        for point in points {
            let x = length > 0 ? (point.x / 2 - from / 2) / length * width : 0
            path += path.isEmpty ? "M" : "L"
            path += tenths(x) + " " + tenths(y(scale.position(point.y)))
        }
        // One alone is a dot.
        return points.count == 1 ? path + "h0" : path
    }

    /// With a power of ten where other words end.
    static func text(_ number: Double) -> String {
        let size = abs(number)
        return size == 0 || (0.01..<1e15).contains(size) ? Quantity.short(number) : String(format: "%.3g", number)
    }

    private static func y(_ position: Double) -> Double { height - position * (height - top) }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int64((number * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : String(Double(tenths) / 10)
    }
}

/// What the height of the lines stands for: from 0, or from below where numbers are, to 1, 2 or 5 of a power of ten.
struct ResultScale: Equatable {
    let low: Double
    let high: Double

    init(_ values: [Double]) {
        let most = values.max() ?? 0
        let least = values.min() ?? 0
        low = least < 0 ? -Self.roundedUp(-least) : 0
        high = most > 0 ? Self.roundedUp(most) : low < 0 ? 0 : 1
    }

    /// From the lower one up.
    var ticks: [Double] { [low / 2 + high / 2, high] }

    /// From 0 at the bottom to 1 at the top.
    func position(_ value: Double) -> Double {
        // Halves, for a difference may have no place in a number.
        let size = high / 2 - low / 2
        return size > 0 ? min(max((value / 2 - low / 2) / size, 0), 1) : 0
    }

    /// Not less than a number above 0.
    private static func roundedUp(_ number: Double) -> Double {
        let power = pow(10, floor(log10(number)))
        guard power.isFinite, power > 0 else { return number }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= number && $0.isFinite } ?? number
    }
}
