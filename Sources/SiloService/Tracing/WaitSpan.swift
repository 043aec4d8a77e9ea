import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

extension RecordingTracer {
    /// Records how long a task waited until a worker got it, where its job was enqueued for somebody who traces: a child of
    /// that, linked to the worker's call.
    func recordWait(of task: LeasedTask, tenant: String?, by worker: String, _ call: RecordedSpan?) {
        guard !task.job.trace.isEmpty, let trace = TraceContext(storedBytes: task.job.trace) else { return }
        let began = UInt64(clamping: task.dueAt.milliseconds).multipliedReportingOverflow(by: 1_000_000)
        let span = record(
            SpanStart("wait", .internal, links: call.map { [$0.context] } ?? [], [
                "messaging.system": "silo", "messaging.destination.name": .init(task.job.taskGroup),
                "silo.job.id": .init(task.job.id), "silo.task.id": .init(task.id), "silo.attempt": .init(Int(task.attempt)),
                "silo.worker.id": .init(worker),
            ]),
            at: began.overflow ? nil : began.partialValue, parent: trace
        )
        if let tenant { span?.set("silo.tenant", .init(tenant)) }
        span?.end()
    }
}
