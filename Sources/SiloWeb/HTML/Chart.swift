import Foundation

/// A chart of lines over time, drawn here. Scripts show its values under the pointer, which they read from the lines themselves.
struct Chart {
    struct Series {
        let name: String
        /// Which of the colours, from 1.
        let colour: Int
        /// In order of time, of equal spans; nil: nobody looked.
        let values: [Double?]
    }
    enum Scale: String {
        /// From 0.
        case linear
        /// For lengths of time, which differ by powers of ten, in milliseconds.
        case logarithmic
    }
    let id: String
    let title: String
    let series: [Series]
    var scale = Scale.linear
    /// A value with its unit.
    let format: @Sendable (Double) -> String
    /// How long ago it begins, such as `15 min ago`, and how long a span is, in seconds.
    let begin: String
    let slotSeconds: Int

    private static let width = 720.0
    private static let height = 160.0

    /// What changes while it is looked at.
    var region: LiveTopic.Region { LiveTopic.Region(id, content) }

    var html: HTML { "<figure class=\"chart\" id=\"\(id)\">\(content)</figure>" }

    private var content: HTML {
        let axis = Axis(series.flatMap(\.values).compactMap { $0 }, scale)
        let legend = series.map { line -> HTML in
            """
            <li class="c\(line.colour)"><span class="swatch" aria-hidden="true"></span>\(line.name) \
            <b>\(line.values.last.flatMap { $0 }.map(format) ?? "–")</b></li>
            """
        }
        let grid = axis.ticks.map { tick -> HTML in
            let y = Self.point(Self.y(axis.position(tick)))
            return "<path d=\"M0 \(y)H720\"/>"
        }
        // From the top down, at equal distances.
        let ticks = axis.ticks.reversed().map { tick -> HTML in "<li><span>\(format(tick))</span></li>" }
        return """
            <figcaption><h3>\(title)</h3><ul class="legend">\(legend)</ul></figcaption>\
            <div class="plot"><svg viewBox="0 0 720 160" preserveAspectRatio="none" role="img" \
            aria-label="\(title), \(begin) to now" data-span="\(slotSeconds)" \
            data-slots="\(series.first?.values.count ?? 0)" data-low="\(Self.point(axis.low))" \
            data-high="\(Self.point(axis.high))" data-scale="\(scale.rawValue)"><g class="grid">\(grid)</g>\
            \(series.map { line($0, axis) })</svg><ul class="ticks" aria-hidden="true">\(ticks)</ul></div>\
            <p class="span" aria-hidden="true"><span>\(begin)</span><span>now</span></p>
            """
    }

    private func line(_ line: Series, _ axis: Axis) -> HTML {
        var path = ""
        var isDrawing = false
        let last = line.values.count - 1
        let step = Self.width / Double(max(1, line.values.count - 1))
        for (index, value) in line.values.enumerated() {
            guard let value else {
                isDrawing = false
                continue
            }
            path += isDrawing ? "L" : "M"
            path += Self.point(Double(index) * step) + " " + Self.point(Self.y(axis.position(value)))
            // One alone is a dot.
            if !isDrawing, index == last || line.values[index + 1] == nil { path += "h0" }
            isDrawing = true
        }
        return "<path class=\"line c\(line.colour)\" data-name=\"\(line.name)\" d=\"\(path)\"/>"
    }

    private static func y(_ position: Double) -> Double { height - position * (height - 8) }

    /// With one digit behind the point.
    private static func point(_ number: Double) -> String {
        let tenths = Int64((number * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : String(Double(tenths) / 10)
    }
}

/// What the height of a chart stands for.
struct Axis {
    let low: Double
    let high: Double
    let ticks: [Double]
    private let isLogarithmic: Bool

    init(_ values: [Double], _ scale: Chart.Scale) {
        let most = values.max() ?? 0
        switch scale {
        case .linear:
            isLogarithmic = false
            low = 0
            high = Self.roundedUp(max(most, 1))
            ticks = [high / 2, high]
        case .logarithmic:
            isLogarithmic = true
            low = 1
            var top = 10.0
            while top < most { top *= 10 }
            high = top
            var ticks: [Double] = []
            var tick = 10.0
            while tick <= top {
                ticks.append(tick)
                tick *= 10
            }
            self.ticks = ticks
        }
    }

    /// From 0 at the bottom to 1 at the top.
    func position(_ value: Double) -> Double {
        let clamped = min(max(value, low), high)
        return isLogarithmic ? log10(clamped / low) / log10(high / low) : clamped / high
    }

    /// 1, 2 or 5 of a power of ten, not less than a number.
    private static func roundedUp(_ number: Double) -> Double {
        var power = 1.0
        while power * 10 <= number { power *= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= number } ?? number
    }
}
