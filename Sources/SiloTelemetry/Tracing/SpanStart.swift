/// What a span begins with.
public struct SpanStart: Sendable {
    public var name: String
    public var kind: SpanKind
    /// Nil: it begins a trace.
    public var parent: TraceContext?
    /// Spans that it has to do with and is not a child of.
    public var links: [TraceContext]
    public var attributes: [(name: String, value: SpanValue)]

    public init(
        _ name: String, _ kind: SpanKind = .internal, parent: TraceContext? = nil, links: [TraceContext] = [],
        _ attributes: KeyValuePairs<String, SpanValue> = [:]
    ) {
        self.name = name
        self.kind = kind
        self.parent = parent
        self.links = links
        self.attributes = attributes.map { ($0.key, $0.value) }
    }
}

/// Which side of a call or of a queue a span is on.
public enum SpanKind: Sendable {
    case `internal`, server, client, producer, consumer
}

public enum SpanValue: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case text(String)
    case number(Int64)

    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .number(value) }
    public init(_ value: some CustomStringConvertible) { self = .text(value.description) }
    public init(_ value: Int) { self = .number(Int64(value)) }
}
