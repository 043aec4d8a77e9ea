import Protobuf
import SiloCore
public import SiloStore

/// Lets nothing of a tenant, a task group or a limit start any more. What runs goes on.
public struct Pause: Command {
    public let target: PauseTarget
    public let reason: String

    public init(_ target: PauseTarget, reason: String) {
        self.target = target
        self.reason = reason
    }

    /// The pause as it was before; nil when there was none. Refused with `.exhausted` when there are too many.
    package func check(_ view: View) async throws(Refusal) -> StorageV1.Pause? {
        if let tenant = target.tenant { try view.checkNotDropped(tenant) }
        let before = view.pause(target)
        let count = view.pauses.count
        guard before != nil || count < view.settings.pausesMax else {
            throw .refused(.exhausted("the shard has \(count) pauses; resume some before adding more"))
        }
        return before
    }

    /// Whether it was paused before: then only the reason changes. Durable when answered.
    package func run(_ before: StorageV1.Pause?, in transaction: Transaction) async throws(StoreError) -> Bool {
        var pause = before ?? StorageV1.Pause()
        pause.reason = reason
        if before == nil { pause.sinceMs = transaction.now.milliseconds }
        transaction.rows.put(ShardKeys.pause(target), pause.serializedBytes())
        transaction.memory.setPause(target, pause)
        return before != nil
    }
}

/// Takes a pause back.
public struct Resume: Duty {
    public let target: PauseTarget

    public init(_ target: PauseTarget) {
        self.target = target
    }

    /// Whether it was paused. Durable when answered.
    package func run(in transaction: Transaction) async throws(StoreError) -> Bool {
        guard transaction.memory.limits.pauses[target] != nil else { return false }
        transaction.rows.delete(ShardKeys.pause(target))
        transaction.memory.setPause(target, nil)
        return true
    }
}

/// What is paused, in no order.
public struct ListPauses: Query {
    public init() {}

    package func check(_ view: View) async throws(Refusal) -> [PauseTarget: StorageV1.Pause] { view.pauses }
}
