import SiloCore
import Synchronization

/// What a shard shows of itself to whoever asks, without disturbing its loop.
public struct ShardCounts: Sendable, Equatable {
    /// Jobs stored.
    public var total: Int64 = 0
    /// Of those, finished.
    public var completed: Int64 = 0
    public var leases = 0
    public var waitingWorkers = 0
    /// Pending tasks held in memory, and queues.
    public var windowedTasks = 0
    public var queues = 0
}

final class ShardGauge: Sendable {
    private let counts = Mutex(ShardCounts())

    var current: ShardCounts { counts.withLock { $0 } }

    func update(from memory: ShardMemory) {
        let new = ShardCounts(
            total: memory.totalJobs, completed: memory.completedJobs, leases: memory.leases.count,
            waitingWorkers: memory.waiters.count, windowedTasks: memory.windowed, queues: memory.queues.count
        )
        counts.withLock { $0 = new }
    }
}
