import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

extension SiloV1.EnqueueRequest {
    /// The command that this request asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(SiloError) -> Enqueue {
        try Bounds.checkPriority(priority)
        try Bounds.checkMetadata(metadata)
        try Bounds.checkTaskGroup(taskGroup)
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        try Bounds.checkPayload(payload.bytes, "payload")
        return Enqueue(
            tenant: tenant, id: id.isEmpty ? nil : try JobID(checking: id), priority: priority, startAtMs: startAtMs,
            retryPolicy: policy, payload: payload.bytes, limits: limits,
            metadata: metadata, taskGroup: taskGroup
        )
    }
}
