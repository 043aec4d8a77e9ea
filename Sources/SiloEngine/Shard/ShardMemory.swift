import SiloCore
import SiloStore

/// What a shard keeps in memory: a cache of its database, rebuilt on open and thrown away when a write fails.
/// Only the shard's loop touches it.
final class ShardMemory {
    let settings: EngineSettings
    var queues: [Queue.ID: Queue] = [:]
    var groups: [TaskGroup: ReadyGroup] = [:]
    var leases: [TaskID: LiveLease] = [:]
    var leaseAlarms = Heap<LeaseAlarm>()
    var timerAlarms = Heap<TimerAlarm>()
    var waiters = Waiters()

    /// Jobs stored, and those of them that are finished.
    var totalJobs: Int64 = 0
    var completedJobs: Int64 = 0

    /// Pending tasks held in all windows.
    var windowed = 0

    /// Queues whose windows hold rows, longest held first. May name one that holds nothing any more.
    private var loadOrder = FIFO<Queue>()
    var queuesInLoadOrder: Int { loadOrder.count }

    private var dirtyQueues: [Queue] = []
    private var newlyReady: Set<TaskGroup> = []

    init(settings: EngineSettings) {
        self.settings = settings
    }

    func activate(_ queue: Queue) {
        guard queue.turn == .none, queue.counts.ready > 0 else { return }
        groups[queue.id.group, default: ReadyGroup(quantum: settings.quantum)].activate(queue)
    }

    func nextQueue(in group: TaskGroup) -> Queue? {
        groups[group]?.next()
    }

    func markDirty(_ queue: Queue) {
        guard !queue.isDirty else { return }
        queue.isDirty = true
        dirtyQueues.append(queue)
    }

    /// The directory rows that memory is ahead of.
    func takeDirtyRows() -> [Write] {
        defer { dirtyQueues.removeAll(keepingCapacity: true) }
        return dirtyQueues.map { queue in
            queue.isDirty = false
            queue.hasUnwrittenRows = false
            return queue.directoryRow()
        }
    }

    /// Task groups that got ready work since the last call.
    func takeNewlyReady() -> Set<TaskGroup> {
        defer { newlyReady.removeAll(keepingCapacity: true) }
        return newlyReady
    }

    /// Room for one more pending task in the queue's window.
    private var windowCapacity: Int { windowed < settings.windowsTotalMax ? settings.windowMax : 0 }

    func addReady(_ task: PendingTask, to queue: Queue) {
        changeWindow(queue) { $0.ready.insert(task, capacity: windowCapacity) }
        queue.counts.ready += 1
        queue.hasUnwrittenRows = true
        activate(queue)
        newlyReady.insert(queue.id.group)
    }

    func addTimer(_ task: PendingTask, to queue: Queue) {
        changeWindow(queue) { $0.timers.insert(task, capacity: windowCapacity) }
        queue.counts.timers += 1
        queue.hasUnwrittenRows = true
        armTimers(of: queue)
    }

    /// Looks at the queue's timers again no later than its first is due.
    func armTimers(of queue: Queue) {
        guard queue.counts.timers > 0 else { return }
        let due = Timestamp(Int64(clamping: queue.timers.lowerBound))
        guard queue.alarm.map({ due < $0 }) ?? true else { return }
        queue.alarm = due
        timerAlarms.insert(TimerAlarm(at: due, queue: queue.id))
    }

    func addLease(_ lease: LiveLease) {
        leases[lease.taskID] = lease
        lease.queue.counts.leased += 1
        leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
    }

    /// Changes a queue's windows and keeps count of what all windows hold.
    func changeWindow(_ queue: Queue, _ change: (Queue) -> Void) {
        let before = queue.ready.count + queue.timers.count
        change(queue)
        let after = queue.ready.count + queue.timers.count
        windowed += after - before
        if after > 0, !queue.isInLoadOrder {
            queue.isInLoadOrder = true
            loadOrder.append(queue)
        }
    }

    /// Lets windows go, longest held first, until what is held fits or only `kept` holds some.
    func shrinkWindows(keeping kept: Queue) {
        var left = loadOrder.count
        while left > 0, windowed > settings.windowsTotalMax, let queue = loadOrder.popFirst() {
            left -= 1
            guard queue !== kept else {
                loadOrder.append(queue)
                continue
            }
            queue.isInLoadOrder = false
            changeWindow(queue) {
                $0.ready.clear()
                $0.timers.clear()
            }
        }
    }

    /// Forgets queues in which nothing can happen, when there are many.
    func forgetIdleQueues() {
        guard queues.count > settings.idleQueuesMax + idleFloor else { return }
        groups = groups.filter { group in
            var group = group.value
            return group.next() != nil
        }
        queues = queues.filter { !$0.value.isIdle || $0.value.turn != .none }
        loadOrder.removeAll { queue in
            guard !queue.holdsRows else { return false }
            queue.isInLoadOrder = false
            return true
        }
        idleFloor = queues.count
    }
    private var idleFloor = 0
}
