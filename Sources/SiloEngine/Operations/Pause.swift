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

    /// Whether it was paused before: then only the reason changes. Durable when answered.
    public func run(in transaction: Transaction) async throws -> Bool {
        let pauses = transaction.memory.limits.pauses
        let before = pauses[target]
        guard before != nil || pauses.all.count < transaction.settings.pausesMax else {
            throw SiloError.exhausted("the shard has \(pauses.all.count) pauses; resume some before adding more")
        }
        var pause = before ?? StorageV1.Pause()
        pause.reason = reason
        if before == nil { pause.sinceMs = transaction.now.milliseconds }
        transaction.put(ShardKeys.pause(target), pause.serializedBytes())
        let target = target
        transaction.afterwards { memory in
            pauses[target] = pause
            memory.pausesChanged(target)
        }
        return before != nil
    }
}

/// Takes a pause back.
public struct Resume: Command {
    public let target: PauseTarget

    public init(_ target: PauseTarget) {
        self.target = target
    }

    /// Whether it was paused. Durable when answered.
    public func run(in transaction: Transaction) async throws -> Bool {
        let pauses = transaction.memory.limits.pauses
        guard pauses[target] != nil else { return false }
        transaction.delete(ShardKeys.pause(target))
        let target = target
        transaction.afterwards { memory in
            pauses[target] = nil
            memory.pausesChanged(target)
        }
        return true
    }
}

/// What is paused, in no order.
public struct ListPauses: Command {
    public init() {}

    public func run(in transaction: Transaction) async throws -> [PauseTarget: StorageV1.Pause] {
        transaction.memory.limits.pauses.all
    }
}
