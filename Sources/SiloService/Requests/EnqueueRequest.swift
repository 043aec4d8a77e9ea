import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

extension SiloV1.EnqueueRequest {
    /// The command that this request asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant, _ context: RequestContext) throws(SiloError) -> Enqueue {
        try Bounds.checkPriority(priority)
        try Bounds.checkMetadata(metadata)
        try Bounds.checkTaskGroup(taskGroup)
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        try Bounds.checkPayload(payload.bytes, "payload")
        try Bounds.checkRetention(retainMs)
        return Enqueue(
            tenant: tenant, id: id.isEmpty ? nil : try JobID(checking: id), priority: priority, startAtMs: startAtMs,
            retryPolicy: policy, payload: payload.bytes, limits: limits,
            metadata: metadata, taskGroup: taskGroup, trace: trace(context), retainMs: retainMs
        )
    }

    /// Whom the job is for, when they are recorded: whom it names itself, else whom the call is made for.
    private func trace(_ context: RequestContext) -> TraceContext? {
        guard let own = TraceContext(traceparent, state: tracestate) else { return context.traceOfJobs }
        return own.isSampled ? own : nil
    }
}
