import Synchronization

/// A span that is recorded. It goes to the queue when it ends, and with its last reference at the latest.
public final class RecordedSpan: Span {
    private struct State {
        var attributes: [(name: String, value: SpanValue)] = []
        var events: [FinishedSpan.Event] = []
        var isOver = false
    }
    /// More tell nothing, and cost memory.
    private static let attributesMax = 128
    private static let eventsMax = 128

    private let start: SpanStart
    public let context: TraceContext
    private let clock = SpanClock()
    private let began: UInt64
    private let tracer: RecordingTracer
    private let state = Mutex(State())

    init(_ start: SpanStart, in trace: TraceID, _ span: SpanID, at began: UInt64?, of tracer: RecordingTracer) {
        self.start = start
        context = TraceContext(trace: trace, span: span, isSampled: true, state: start.parent?.state ?? "")
        self.began = min(began ?? clock.beginning, clock.beginning)
        self.tracer = tracer
    }

    deinit { end(failure: "it was given up") }

    public func set(_ attribute: String, _ value: SpanValue) {
        state.withLock { state in
            guard !state.isOver, state.attributes.count < Self.attributesMax else { return }
            state.attributes.append((attribute, value))
        }
    }

    /// Notes that something happened now.
    package func note(_ event: String) {
        let now = clock.now
        state.withLock { state in
            guard !state.isOver, state.events.count < Self.eventsMax else { return }
            state.events.append(FinishedSpan.Event(name: event, at: now))
        }
    }

    package func child(_ name: String, _ attributes: KeyValuePairs<String, SpanValue> = [:]) -> RecordedSpan {
        tracer.child(SpanStart(name, .internal, attributes), of: context)
    }

    public func end(failure: String? = nil) {
        let ended = clock.now
        let finished: FinishedSpan? = state.withLock { state in
            guard !state.isOver else { return nil }
            state.isOver = true
            return FinishedSpan(
                start: start, context: context, began: began, ended: ended, attributes: start.attributes + state.attributes,
                events: state.events, failure: failure
            )
        }
        if let finished { tracer.queue.add(finished) }
    }
}
