/// What a metric is called and what it says, as the page of metrics and the documents tell it.
package struct Metric: Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
        /// A sum and a count, without buckets.
        case summary
    }
    package let name: String
    package let kind: Kind
    /// One line, without its full stop.
    package let help: String
    /// Names of its labels, in order. None takes a tenant, a key or whatever else has no bound.
    package let labels: [String]

    package init(_ kind: Kind, _ name: String, _ labels: [String] = [], _ help: String) {
        self.kind = kind
        self.name = name
        self.labels = labels.sorted()
        self.help = help
    }
}

/// The labels of a sample, as they stand between its braces: in order of their names, escaped once and for all.
package struct MetricLabels: Sendable {
    package static let none = MetricLabels(sorted: [])
    /// Each with its text, such as `shard="0"`.
    private let pairs: [(name: String, text: [UInt8])]
    let bytes: [UInt8]

    private init(sorted pairs: [(name: String, text: [UInt8])]) {
        self.pairs = pairs
        bytes = Array(pairs.map(\.text).joined(separator: [UInt8(ascii: ",")]))
    }

    package init(_ pairs: [(name: String, value: String)]) {
        self.init(sorted: pairs.sorted { $0.name < $1.name }.map { ($0.name, Self.text($0.name, $0.value)) })
    }

    package init(_ name: String, _ value: String) { self.init([(name, value)]) }

    package func adding(_ name: String, _ value: String) -> MetricLabels {
        var all = pairs
        all.insert((name, Self.text(name, value)), at: pairs.firstIndex { name < $0.name } ?? pairs.endIndex)
        return MetricLabels(sorted: all)
    }

    private static func text(_ name: String, _ value: String) -> [UInt8] {
        var text = Array(name.utf8)
        text.reserveCapacity(name.utf8.count + value.utf8.count + 3)
        text.append(contentsOf: "=\"".utf8)
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): text.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case UInt8(ascii: "\n"): text.append(contentsOf: "\\n".utf8)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
        return text
    }
}
