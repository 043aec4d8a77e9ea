import Protobuf
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
    var timerAlarms = PerAxis(Heap<TimerAlarm>())
    var waiters = Waiters()
    let limits: LimitTable
    /// Questions for the external rate limiter, put when the turn is written.
    var checks: [PendingCheck] = []

    /// What the database says of itself.
    var info = StorageV1.ShardInfo()
    var isInfoDirty = false
    /// The batch that is being made stores the end of a length of time.
    var storesDelays = false
    /// Of the next job that comes.
    var nextArrival: UInt64 = 0

    /// Jobs stored, and those of them that are finished.
    var totalJobs: Int64 = 0
    var completedJobs: Int64 = 0

    /// Broken invariants that were mended in passing.
    let healed = Healed()

    /// Pending tasks held in all windows, and their bytes, which count against what the shards of the server hold together.
    private(set) var windowed = 0
    private(set) var windowedBytes = 0
    private let windows: MemoryBudget

    /// Owners of windows that hold rows, in the order of their first load. May name some that hold nothing any more.
    private var loadOrder = FIFO<any WindowOwner>()
    private var ownersWithRows = 0
    var queuesInLoadOrder: Int { loadOrder.count }

    /// Queues in which nothing could happen when they were noted, longest ago first.
    private var idleQueues = FIFO<Queue>()

    private var dirtyQueues: [Queue] = []
    /// Task groups where work came or went since the gauge was told.
    private var changedGroups: Set<TaskGroup> = []
    private var newlyReady: Set<TaskGroup> = []
    /// Task groups of workers that were cut short before they found anything.
    private(set) var unserved: Set<TaskGroup> = []

    /// How workers ask for each group.
    let polls: Polls

    init(settings: EngineSettings, windows: MemoryBudget, pauses: PauseTable = PauseTable()) {
        self.settings = settings
        self.windows = windows
        polls = Polls(groupsMax: settings.pollGroupsMax)
        limits = LimitTable(pauses: pauses, healed: healed, limitedMax: settings.idleQueuesMax)
    }

    /// Rows that were held are held no more.
    deinit { windows.give(windowedBytes) }

    func add(_ queue: Queue) {
        queue.isPaused = limits.pauses.isPaused(queue.id)
        queues[queue.id] = queue
        noteIdle(queue)
    }

    func activate(_ queue: Queue) {
        guard queue.turn == .none, queue.isServable else { return }
        groups[queue.id.group, default: ReadyGroup(quantum: settings.quantum)].activate(queue)
        changedGroups.insert(queue.id.group)
    }

    func nextQueue(in group: TaskGroup) -> Queue? {
        guard let queue = groups[group]?.next() else {
            groups[group] = nil
            return nil
        }
        return queue
    }

    func markDirty(_ queue: Queue) {
        guard !queue.isDirty else { return }
        queue.isDirty = true
        dirtyQueues.append(queue)
    }

    /// Adds the rows that memory is ahead of.
    func takeDirtyRows(into batch: inout [Write], at now: Moment) {
        for queue in dirtyQueues {
            queue.isDirty = false
            queue.hasUnwrittenRows = false
            batch.append(queue.directoryRow())
            changedGroups.insert(queue.id.group)
            noteIdle(queue)
        }
        dirtyQueues.removeAll(keepingCapacity: true)
        if limits.takeDirtyRows(into: &batch, at: now) { storesDelays = true }
        if info.note(now, storesDelays: storesDelays) || isInfoDirty {
            batch.append(Write(key: ShardKeys.info, value: info.serializedBytes()))
        }
        storesDelays = false
        isInfoDirty = false
    }

    /// Task groups whose waiting workers may find work: it came since the last call, or they did not come so far.
    func takeNewlyReady() -> Set<TaskGroup> {
        defer {
            newlyReady.removeAll(keepingCapacity: true)
            unserved = []
        }
        return newlyReady.union(unserved)
    }

    /// Workers that wait for a group are looked at in this turn.
    func wakeWaiters(of group: TaskGroup) {
        newlyReady.insert(group)
        changedGroups.insert(group)
    }

    /// A worker took what was not a job.
    func noteTaken(of group: TaskGroup) { changedGroups.insert(group) }

    /// Workers that wait for a group are looked at again in the next turn, which comes at once.
    func lookAgain(for group: TaskGroup) { unserved.insert(group) }

    /// Whether a worker of the group would get something.
    func hasWork(for group: TaskGroup) -> Bool {
        nextQueue(in: group) != nil || limits.refreshes.hasOffer(group)
    }

    /// Whether there is work now for workers of each group where that may have changed since the last call.
    func takeChangedGroups() -> [(group: TaskGroup, hasWork: Bool)] {
        defer { changedGroups.removeAll(keepingCapacity: true) }
        return changedGroups.map { ($0, hasWork(for: $0)) }
    }

    func takeChecks() -> [PendingCheck] {
        guard !checks.isEmpty else { return [] }
        defer { checks = [] }
        return checks
    }

    /// A pause began or ended.
    func pausesChanged(_ target: PauseTarget) {
        if case .limit(let key, let tenant) = target {
            guard let limit = limits.slot(tenant, key) else { return }
            limit.isPaused = limits.pauses.isPaused(key, of: tenant)
            if limit.isPaused { for line in limit.lines.all { limits.stopKeeping(for: line) } }
            return limits.markFreed(limit)
        }
        for queue in queues.values {
            let isPaused = limits.pauses.isPaused(queue.id)
            guard isPaused != queue.isPaused else { continue }
            queue.isPaused = isPaused
            changedGroups.insert(queue.id.group)
            guard !isPaused, queue.counts.ready > 0 else { continue }
            activate(queue)
            newlyReady.insert(queue.id.group)
        }
    }

    /// Room for one more pending task in the queue's window.
    private var windowCapacity: Int { windows.isOver ? 0 : settings.windowMax }

    /// The shard holds more than its part of what is too much. Each may hold a little, also when others hold all there is.
    private var holdsTooMuch: Bool { windows.isOver && windowedBytes > windows.bytesMax / 64 }

    func addReady(_ task: PendingTask, to queue: Queue) {
        changeWindow(queue) { queue.ready.insert(task, capacity: windowCapacity) }
        queue.counts.ready += 1
        queue.hasUnwrittenRows = true
        activate(queue)
        newlyReady.insert(queue.id.group)
    }

    func addTimer(_ task: PendingTask, _ axis: Axis, to queue: Queue) {
        changeWindow(queue) { queue.timers[axis].window.insert(task, capacity: windowCapacity) }
        queue.counts[axis] += 1
        queue.hasUnwrittenRows = true
        if axis == .steady { storesDelays = true }
        armTimers(of: queue, axis)
    }

    func addWaiting(_ task: PendingTask, to line: Line, at demand: Demand) {
        let head = line.head
        changeWindow(line) { line.window.insert(task, capacity: windowCapacity) }
        line.counted(in: 1)
        line.hasUnwrittenRows = true
        limits.add(line)
        limits.markDirty(line)
        if let limit = line.blockedAt {
            if line.head < head { limit.lines.enter(line) }
        } else {
            limits.park(line, at: demand)
            // The command may have freed something after it found none, when nobody stood in line yet.
            limits.markFreed(demand.limit)
        }
    }

    /// Looks at the queue's timers again no later than the first of them is due.
    func armTimers(of queue: Queue, _ axis: Axis) {
        guard queue.counts[axis] > 0 else { return }
        let due = Timestamp(Int64(clamping: queue.timers[axis].window.lowerBound))
        guard queue.timers[axis].alarm.map({ due < $0 }) ?? true else { return }
        queue.timers[axis].alarm = due
        timerAlarms[axis].insert(TimerAlarm(at: due, queue: queue.id))
    }

    /// When the wall clock makes something due next.
    var nextDate: Timestamp? { [timerAlarms.wall.first?.at, limits.nextAlarm.wall].compactMap { $0 }.min() }

    /// When a timer, a limit or a refresh has waited long enough next, by steady time.
    var nextDelay: Timestamp? { [timerAlarms.steady.first?.at, limits.nextAlarm.steady].compactMap { $0 }.min() }

    func addLease(_ lease: LiveLease) {
        leases[lease.taskID] = lease
        lease.queue.counts.leased += 1
        leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
    }

    /// No lease ends before a whole one has passed.
    func beginLeasesAnew(at steady: Timestamp) {
        for lease in leases.values { lease.expiresAt = max(lease.expiresAt, steady + settings.leaseMilliseconds) }
        limits.refreshes.beginLeasesAnew(until: steady + settings.leaseMilliseconds)
    }

    /// Changes windows and keeps count of what all windows hold.
    func changeWindow(_ owner: some WindowOwner, _ change: () -> Void) {
        let (rows, bytes) = (owner.heldRows, owner.heldBytes)
        change()
        let after = owner.heldRows
        windowed += after - rows
        windowedBytes += owner.heldBytes - bytes
        windows.change(by: owner.heldBytes - bytes)
        if rows == 0, after > 0 { ownersWithRows += 1 }
        if rows > 0, after == 0 { ownersWithRows -= 1 }
        if after > 0, !owner.isInLoadOrder {
            owner.isInLoadOrder = true
            loadOrder.append(owner)
        }
    }

    /// Lets windows go, longest held first, until what is held fits or only `kept` holds some.
    func shrinkWindows(keeping kept: some WindowOwner) {
        var left = loadOrder.count
        while left > 0, holdsTooMuch, let owner = loadOrder.popFirst() {
            left -= 1
            guard owner !== kept else {
                loadOrder.append(owner)
                continue
            }
            owner.isInLoadOrder = false
            Probe.windowLetGo.reached()
            changeWindow(owner) { owner.letRowsGo() }
        }
        forgetEmptyOwners()
    }

    /// Owners that hold nothing are taken out of the load order when they are more than the others.
    private func forgetEmptyOwners() {
        guard loadOrder.count > 2 * ownersWithRows + 64 else { return }
        loadOrder.removeAll { owner in
            guard owner.heldRows == 0 else { return false }
            owner.isInLoadOrder = false
            return true
        }
    }

    // MARK: What may be forgotten

    private func noteIdle(_ queue: Queue) {
        guard queue.isIdle, !queue.isNotedIdle else { return }
        queue.isNotedIdle = true
        idleQueues.append(queue)
    }

    /// Forgets queues in which nothing can happen and limits that nobody waits for, those that were idle first, when there are
    /// many.
    func forgetIdle() {
        limits.forgetIdle(above: settings.idleLimitsMax)
        while idleQueues.count > settings.idleQueuesMax, let queue = idleQueues.popFirst() {
            queue.isNotedIdle = false
            guard queue.isIdle, !queue.isDirty else { continue }
            Probe.queueForgotten.reached()
            queues[queue.id] = nil
            groups[queue.id.group]?.forget(queue)
            if groups[queue.id.group]?.isEmpty ?? false { groups[queue.id.group] = nil }
        }
        forgetEmptyOwners()
    }
}
