/// A span that is under way. It ends once; what comes later is ignored.
public protocol Span: AnyObject, Sendable {
    var context: TraceContext { get }
    func set(_ attribute: String, _ value: SpanValue)
    /// - Parameter failure: what went wrong; nil: nothing did.
    func end(failure: String?)
}

/// Begins spans. The client library takes any: an application passes one that speaks to the tracing that it has.
public protocol Tracer: Sendable {
    /// - Returns: nil: this one is not recorded.
    func begin(_ start: SpanStart) -> (any Span)?
}
