import GRPC
import SiloTelemetry

/// The span of a job from its sender to the server's word that it is durable, where the application traces.
struct EnqueueSpan: Sendable {
    private let span: (any Span)?
    /// What goes with the job: this span, else what the task is done for.
    let context: TraceContext?

    init(of job: NewJob, _ id: String, _ tracer: (any Tracer)?) {
        let current = TraceContext.current
        span = tracer?.begin(SpanStart("enqueue \(job.group)", .producer, parent: current, [
            "messaging.system": "silo", "messaging.operation.type": "send", "messaging.operation.name": "enqueue",
            "messaging.destination.name": .init(job.group), "messaging.message.id": .init(id),
        ]))
        context = span?.context ?? current
    }

    func end(_ refusal: Status?) { span?.end(failure: refusal.map { "\($0)" }) }
}
