import SiloAPI
import SiloTelemetry

/// The span of a handler: a child of whoever enqueued its job, so that a job is one trace from its sender to its end.
struct ProcessSpan: Sendable {
    private let span: (any Span)?
    /// What the handler is done for: this span, else whom the job was enqueued for.
    let context: TraceContext?

    init(of task: SiloV1.Task, by worker: String, _ tracer: (any Tracer)?) {
        let sender = TraceContext(task.traceparent, state: task.tracestate)
        span = tracer?.begin(SpanStart("process \(task.taskGroup)", .consumer, parent: sender, [
            "messaging.system": "silo", "messaging.operation.type": "process", "messaging.operation.name": "process",
            "messaging.destination.name": .init(task.taskGroup), "messaging.message.id": .init(task.jobId),
            "messaging.client.id": .init(worker), "silo.attempt": .init(Int(task.attemptNumber)),
        ]))
        context = span?.context ?? sender
    }

    func end(_ outcome: TaskOutcome) {
        switch outcome {
        case .succeeded: span?.end(failure: nil)
        case .failed(let code, _):
            span?.set("error.type", .init(code))
            span?.end(failure: code)
        case .cancelled:
            span?.set("error.type", "cancelled")
            span?.end(failure: "cancelled")
        }
    }
}
