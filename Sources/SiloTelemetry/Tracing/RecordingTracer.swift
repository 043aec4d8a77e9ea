/// Records the spans that its sampler chooses, and leaves them in a queue for whoever exports them. Nobody waits for that.
public final class RecordingTracer: Tracer {
    private let sampler: Sampler
    private let random: @Sendable () -> UInt64
    let queue: SpanQueue

    /// - Parameter random: where names of traces and spans come from.
    public init(_ sampler: Sampler, into queue: SpanQueue, random: @escaping @Sendable () -> UInt64) {
        self.sampler = sampler
        self.queue = queue
        self.random = random
    }

    /// What became of its spans.
    public var counts: SpanCounts { queue.counts }

    public func begin(_ start: SpanStart) -> (any Span)? { record(start, parent: start.parent) }

    /// - Parameter began: in nanoseconds since 1970; nil: now.
    package func record(_ start: @autoclosure () -> SpanStart, at began: UInt64? = nil, parent: TraceContext?) -> RecordedSpan? {
        // Of a trace that begins here and is not recorded one number is drawn.
        let low = parent?.trace.low ?? random()
        guard sampler.records(low, parent: parent), let trace = parent?.trace ?? TraceID(high: random(), low: low) else {
            return nil
        }
        var start = start()
        start.parent = parent
        return RecordedSpan(start, in: trace, newSpan(), at: began, of: self)
    }

    /// A child is recorded as its parent is.
    func child(_ start: SpanStart, of parent: TraceContext) -> RecordedSpan {
        var start = start
        start.parent = parent
        return RecordedSpan(start, in: parent.trace, newSpan(), at: nil, of: self)
    }

    private func newSpan() -> SpanID {
        while true { if let span = SpanID(random()) { return span } }
    }
}
