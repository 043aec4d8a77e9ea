import SiloCore
import SiloTelemetry

/// The spans of those entries of a batch that are made for others than the call is: each is a child of what its entry names, and
/// linked to the call. Empty where nobody traces.
struct EntrySpans: Sendable {
    private let spans: [(place: Int, span: RecordedSpan)]

    /// - Parameter traces: of all entries, in order.
    init(_ name: String, _ traces: @autoclosure () -> [TraceContext?], _ context: RequestContext, _ tracer: RecordingTracer?) {
        guard let tracer else {
            spans = []
            return
        }
        spans = traces().enumerated().compactMap { place, parent in
            guard let parent, parent.isSampled, parent != context.trace else { return nil }
            let links = context.span.map { [$0.context] } ?? []
            return tracer.record(SpanStart(name, .internal, links: links), parent: parent).map { (place, $0) }
        }
    }

    /// - Parameter results: of all entries, in order.
    func end<Answer>(_ results: Result<[Result<Answer, SiloError>], SiloError>) {
        for (place, span) in spans {
            switch results {
            case .success(let results): span.end(failure: results.indices.contains(place) ? results[place].failure : nil)
            case .failure(let error): span.end(failure: "\(error)")
            }
        }
    }
}

extension Result where Failure == SiloError {
    fileprivate var failure: String? { if case .failure(let error) = self { "\(error)" } else { nil } }
}
