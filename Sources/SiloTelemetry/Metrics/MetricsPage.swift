/// One look at all metrics, in the text format of Prometheus, version 0.0.4. A metric without samples is left out.
package struct MetricsPage {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private var families: [String: (metric: Metric, lines: [UInt8])] = [:]

    package init() {}

    package mutating func add(_ metric: Metric, _ labels: MetricLabels, _ value: Int64) {
        lines(of: metric) { lines in
            lines.append(name: metric.name, "", labels)
            lines.append(decimal: value)
            lines.append(UInt8(ascii: "\n"))
        }
    }

    package mutating func add(_ metric: Metric, _ labels: MetricLabels, _ value: Double) {
        lines(of: metric) { lines in
            lines.append(name: metric.name, "", labels)
            lines.append(number: value)
            lines.append(UInt8(ascii: "\n"))
        }
    }

    package mutating func add(_ metric: Metric, _ labels: MetricLabels, _ value: some BinaryInteger) {
        add(metric, labels, Int64(clamping: value))
    }

    package mutating func add(_ metric: Metric, _ labels: MetricLabels, _ counter: Counter) {
        add(metric, labels, counter.value)
    }

    /// A summary.
    package mutating func add(_ metric: Metric, _ labels: MetricLabels, sum: Double, count: UInt64) {
        lines(of: metric) { lines in
            lines.append(name: metric.name, "_sum", labels)
            lines.append(number: sum)
            lines.append(UInt8(ascii: "\n"))
            lines.append(name: metric.name, "_count", labels)
            lines.append(decimal: Int64(clamping: count))
            lines.append(UInt8(ascii: "\n"))
        }
    }

    /// One that has recorded nothing is left out.
    package mutating func add(_ metric: Metric, _ labels: MetricLabels, _ histogram: Histogram) {
        let counts = histogram.each
        guard counts.contains(where: { $0 > 0 }) else { return }
        var count: UInt64 = 0
        lines(of: metric) { lines in
            for (own, text) in zip(counts, histogram.buckets.texts) {
                count += own
                lines.append(name: metric.name, "_bucket", labels, bound: text)
                lines.append(decimal: Int64(clamping: count))
                lines.append(UInt8(ascii: "\n"))
            }
        }
        add(metric, labels, sum: histogram.sum, count: count)
    }

    /// The whole page, metrics in order of their names.
    package var bytes: [UInt8] {
        var page: [UInt8] = []
        page.reserveCapacity(families.values.reduce(0) { $0 + $1.lines.count + 256 })
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            let help = family.metric.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
            page.append(contentsOf: "# HELP \(name) \(help).\n# TYPE \(name) \(family.metric.kind.rawValue)\n".utf8)
            page.append(contentsOf: family.lines)
        }
        return page
    }

    private mutating func lines(of metric: Metric, _ write: (inout [UInt8]) -> Void) {
        write(&families[metric.name, default: (metric, [])].lines)
    }
}

extension [UInt8] {
    /// - Parameter bound: of a bucket.
    fileprivate mutating func append(name: String, _ suffix: StaticString, _ labels: MetricLabels, bound: [UInt8]? = nil) {
        append(contentsOf: name.utf8)
        suffix.withUTF8Buffer { append(contentsOf: $0) }
        if !labels.bytes.isEmpty || bound != nil {
            append(UInt8(ascii: "{"))
            append(contentsOf: labels.bytes)
            if let bound {
                append(contentsOf: (labels.bytes.isEmpty ? "le=\"" : ",le=\"").utf8)
                append(contentsOf: bound)
                append(UInt8(ascii: "\""))
            }
            append(UInt8(ascii: "}"))
        }
        append(UInt8(ascii: " "))
    }

    mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        let start = count
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        self[start...].reverse()
    }

    /// Whole numbers without a point.
    mutating func append(number value: Double) {
        if value == value.rounded(), abs(value) < 1e15 { return append(decimal: Int64(value)) }
        let text = value.isNaN ? "NaN" : value.isInfinite ? (value > 0 ? "+Inf" : "-Inf") : "\(value)"
        append(contentsOf: text.utf8)
    }
}
