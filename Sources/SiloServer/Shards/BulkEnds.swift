import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry

/// Tells that a bulk action has come to its end on a shard, which no call is answered with.
struct BulkEnds: Sendable {
    let audit: AuditLog?
    let logger: Logger

    func tell(_ action: StorageV1.BulkAction, of shard: ShardID) {
        let id = UUID(bytes: action.id)?.text ?? ""
        let hasFailed = action.end == .broken
        logger.log(
            hasFailed ? .warn : .info, hasFailed ? "bulk action failed" : "bulk action ended",
            [
                "action": .init(id), "shard": .init(shard), "done": .init(Int(clamping: action.done)),
                "refused": .init(Int(clamping: action.refused)), "looked_at": .init(Int(clamping: action.lookedAt)),
                "error": .init(action.error.isEmpty ? "none" : action.error),
            ])
        let starter = Caller.parts(ofTitle: action.startedBy)
        audit?.write(
            [
                ("who", starter.name), ("by", starter.proof.rawValue), ("call", "BulkActionEnd"), ("action", id),
                ("shard", "\(shard)"), ("done", "\(action.done)"),
                ("refused", "\(action.refused)"), ("outcome", hasFailed ? "FAILED" : "OK"),
            ] + (action.error.isEmpty ? [] : [("error", action.error)]))
    }
}
