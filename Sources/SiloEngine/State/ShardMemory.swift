import Protobuf
import SiloCore
import SiloStore

/// What a shard keeps in memory: a cache of its database, rebuilt on open and thrown away when a write fails.
/// Only the shard's loop touches it.
final class ShardMemory {
    let settings: EngineSettings
    private(set) var queues: [Queue.ID: Queue] = [:]
    /// The same queues in the order of their keys.
    private(set) var queuesByKey = SortedSet<QueueByKey>()
    var groups: [TaskGroup: ReadyGroup] = [:]
    private(set) var leases: [TaskID: LiveLease] = [:]
    /// The same for whoever walks over them.
    private(set) var leaseSlots = Slots<LiveLease>()
    var leaseAlarms = Heap<LeaseAlarm>()
    var timerAlarms = PerAxis(Heap<TimerAlarm>())
    var waiters = Waiters()
    let limits: LimitTable
    /// What the loop is at.
    private(set) var batch = WrittenBatch()
    /// Questions for the external rate limiter, put when the turn is written.
    var checks: [PendingCheck] = []

    /// What the database says of itself.
    var info: InfoRow
    var slices: SliceRow

    /// What is noted of finished jobs for those who sweep.
    var retained = RetainedNotes()
    /// For those who list failures.
    let failureBounds = FailureBounds()
    /// Tenants whose rows are being deleted.
    private(set) var drops: [Tenant: StorageV1.TenantDrop] = [:]
    private var dropsChanged = false

    var bulks = BulkTable()

    /// Jobs stored, and those of them that are finished.
    var totalJobs: Int64 = 0
    var completedJobs: Int64 = 0

    /// Broken invariants that were mended in passing.
    let healed = Healed()
    let branches = Branches()

    /// What all windows hold.
    let windows: WindowPool
    /// Queues in which nothing could happen when they were noted.
    private var idleQueues = IdleSweep<Queue>()
    private var dirtyQueues = DirtyRows<Queue>()
    var levels: GroupLevels
    /// What the turn has come to so far.
    var tally = TurnTally()
    /// For whose workers something has changed.
    var news = GroupNews()

    /// How workers ask for each group.
    let polls: Polls

    init(
        settings: EngineSettings, windows budget: MemoryBudget, pauses: PauseTable = PauseTable(),
        info: StorageV1.ShardInfo = StorageV1.ShardInfo(), slices: SliceSet = SliceSet(), measured: MeasuredGroups? = nil,
        at steady: Timestamp = Timestamp(0)
    ) {
        self.settings = settings
        self.info = InfoRow(info)
        self.slices = SliceRow(slices)
        levels = GroupLevels(measured ?? MeasuredGroups(countMax: settings.measuredGroupsMax), at: steady)
        windows = WindowPool(budget: budget, rowsMax: settings.windowMax, branches: branches)
        polls = Polls(groupsMax: settings.pollGroupsMax)
        limits = LimitTable(pauses: pauses, healed: healed, branches: branches, limitedMax: settings.idleQueuesMax)
    }

    func add(_ queue: Queue) {
        queue.isPaused = limits.pauses.isPaused(queue.id)
        queues[queue.id] = queue
        queuesByKey.insert(QueueByKey(queue))
        noteIdle(queue)
    }

    /// The queues of a tenant, found without a look at all others.
    func queues(of tenant: Tenant) -> [Queue] {
        var found: [Queue] = []
        let hash = tenant.hash
        queuesByKey.forEach(behind: { $0.isBefore(hash) }) { next in
            guard next.has(hash) else { return false }
            if next.queue.id.tenant == tenant { found.append(next.queue) }
            return true
        }
        return found
    }

    func activate(_ queue: Queue) {
        guard queue.turn == .none, queue.isServable else { return }
        groups[queue.id.group, default: ReadyGroup(quantum: settings.quantum)].activate(queue)
        news.workChanged(for: queue.id.group)
    }

    /// The same of a queue that had work when the shard was opened.
    func resume(_ queue: Queue) {
        guard queue.turn == .none, queue.isServable else { return }
        groups[queue.id.group, default: ReadyGroup(quantum: settings.quantum)].resume(queue)
        news.workChanged(for: queue.id.group)
    }

    func nextQueue(in group: TaskGroup) -> Queue? {
        guard let queue = groups[group]?.next() else {
            groups[group] = nil
            return nil
        }
        return queue
    }

    /// Whether the next turn of the queue, which memory may prepare, reads the store, and comes in this round.
    func mayComeForward(_ queue: Queue) -> Bool {
        queue.runsDry(after: settings.quantum) && groups[queue.id.group]?.mayComeForward(queue) ?? false
    }

    /// Who comes after those of the group that came forward, where that turn would read the store too.
    func firstBehind(in group: TaskGroup) -> Queue? {
        groups[group]?.firstBehind().flatMap { mayComeForward($0) ? $0 : nil }
    }

    func comeForward(_ queue: Queue) { groups[queue.id.group]?.comeForward(queue) }

    /// The queue whose turn it is pays for a job.
    func pay(_ queue: Queue) {
        queue.deficit -= 1
        guard queue.deficit <= 0 else { return }
        windows.turnEnded(of: queue)
        tally.tenantTurns += 1
    }

    func markDirty(_ queue: Queue) { dirtyQueues.mark(queue) }

    /// Adds the rows that memory is ahead of.
    func takeDirtyRows(into batch: inout [Write], at now: Moment) {
        dirtyQueues.takeAll { queue in
            queue.hasUnwrittenRows = false
            batch.append(queue.directoryRow())
            levels.note(queue)
            news.workChanged(for: queue.id.group)
            noteIdle(queue)
        }
        if limits.takeDirtyRows(into: &batch, at: now) { info.storesDelays = true }
        if let row = info.takeRow(at: now, branches) { batch.append(row) }
        if let row = slices.takeRow(with: batch) { batch.append(row) }
    }

    /// Workers that wait may find something.
    func workCame(for group: TaskGroup, of tenant: Tenant) {
        news.workCame(for: WorkKind(group))
        if waiters.hasBound { news.workCame(for: WorkKind(group, of: tenant)) }
    }

    /// Whether a worker would get something.
    func hasWork(for kind: WorkKind) -> Bool {
        if limits.refreshes.hasOffer(kind) { return true }
        guard let tenant = kind.tenant else { return nextQueue(in: kind.group) != nil }
        return queues[Queue.ID(tenant: tenant, group: kind.group)]?.isServable ?? false
    }

    /// Whether there is work now for workers of each group where that may have changed since the last call.
    func takeChangedGroups() -> [(group: TaskGroup, hasWork: Bool)] {
        news.takeChanged().map { ($0, hasWork(for: WorkKind($0))) }
    }

    /// The next change is another batch's.
    func endBatch() -> WrittenBatch {
        defer { batch = WrittenBatch() }
        return batch
    }

    func takeChecks() -> [PendingCheck] {
        guard !checks.isEmpty else { return [] }
        defer { checks = [] }
        return checks
    }

    /// - Parameter pause: nil: there is none any more.
    func setPause(_ target: PauseTarget, _ pause: StorageV1.Pause?) {
        limits.pauses[target] = pause
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
            levels.note(queue)
            news.workChanged(for: queue.id.group)
            guard !isPaused, queue.counts.ready > 0 else { continue }
            activate(queue)
            workCame(for: queue.id.group, of: queue.id.tenant)
        }
    }

    func addReady(_ task: PendingTask, to queue: Queue) {
        windows.change(.ready(queue)) { $0.insert(task, capacity: windows.capacity) }
        queue.counts.ready += 1
        queue.hasUnwrittenRows = true
        activate(queue)
        workCame(for: queue.id.group, of: queue.id.tenant)
    }

    func addTimer(_ task: PendingTask, _ axis: Axis, to queue: Queue) {
        windows.change(.timers(queue, axis)) { $0.insert(task, capacity: windows.capacity) }
        queue.counts[axis] += 1
        queue.hasUnwrittenRows = true
        if axis == .steady { info.storesDelays = true }
        armTimers(of: queue, axis)
    }

    func addWaiting(_ task: PendingTask, to line: Line, at demand: Demand) {
        let head = line.head
        windows.change(.waiting(line)) { $0.insert(task, capacity: windows.capacity) }
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

    /// The first of the rows was taken.
    func popFirst(of pending: PendingRows) {
        windows.change(pending) { _ = $0.popFirst() }
        if case .ready(let queue) = pending { windows.noteTaken(from: queue) }
        countOut(1, of: pending)
        // A line may be read anew in the same batch.
        if case .waiting(let line) = pending { line.hasUnwrittenRows = true }
    }

    /// A row was taken that may be any of them.
    func remove(_ position: Position, from pending: PendingRows) {
        windows.change(pending) { $0.remove(position) }
        if case .ready(let queue) = pending { windows.noteTaken(from: queue) }
        countOut(1, of: pending)
        pending.owner.hasUnwrittenRows = true
    }

    /// There are fewer rows than were counted.
    func countOut(_ count: UInt64, of pending: PendingRows) {
        switch pending {
        case .ready(let queue):
            healed.countDown(&queue.counts.ready, by: count)
            markDirty(queue)
        case .timers(let queue, let axis):
            healed.countDown(&queue.counts[axis], by: count)
            markDirty(queue)
        case .waiting(let line):
            line.countedOut(count, healed)
            limits.markDirty(line)
        }
    }

    /// A job of the queue waits at a limit no more.
    func countOutWaiting(of queue: Queue) {
        healed.countDown(&queue.counts.waiting)
        markDirty(queue)
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
        lease.batch = batch
        lease.queue.counts.leased += 1
        hold(lease)
    }

    /// The same of one that is counted already.
    func hold(_ lease: LiveLease) {
        leases[lease.taskID] = lease
        lease.slot = leaseSlots.add(lease)
        leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
    }

    func removeLease(_ lease: LiveLease) {
        forget(lease)
        healed.countDown(&lease.queue.counts.leased)
    }

    /// The same of one whose queue is forgotten too.
    func forget(_ lease: LiveLease) {
        if leases.removeValue(forKey: lease.taskID) != nil { leaseSlots.remove(at: lease.slot) }
    }

    func addFinished(_ state: StorageV1.JobState, to queue: Queue) {
        queue.counts[state] += 1
        completedJobs += 1
    }

    func removeFinished(_ state: StorageV1.JobState, from queue: Queue) {
        healed.countDown(&queue.counts[state])
        completedJobs -= 1
    }

    /// No lease ends before a whole one has passed.
    func beginLeasesAnew(at steady: Timestamp) {
        for lease in leases.values { lease.expiresAt = max(lease.expiresAt, steady + settings.leaseMilliseconds) }
        limits.refreshes.beginLeasesAnew(until: steady + settings.leaseMilliseconds)
    }

    // MARK: What may be forgotten

    private func noteIdle(_ queue: Queue) {
        if queue.isIdle { idleQueues.note(queue) }
    }

    /// Forgets queues in which nothing can happen and limits that nobody waits for, those that were idle first, when there are
    /// many.
    func forgetIdle() {
        limits.forgetIdle(above: settings.idleLimitsMax)
        idleQueues.sweep(above: settings.idleQueuesMax) { queue in
            guard queues[queue.id] === queue, queue.isIdle, !queue.isDirty else { return .busy }
            branches.reached(.queueForgotten)
            forget(queue)
            return .forgotten
        }
        windows.forgetEmptyOwners()
    }

    func forget(_ queue: Queue) {
        queues[queue.id] = nil
        queuesByKey.remove(QueueByKey(queue))
        groups[queue.id.group]?.forget(queue)
        if groups[queue.id.group]?.isEmpty ?? false { groups[queue.id.group] = nil }
    }

    // MARK: Tenants that are dropped

    /// - Parameter drop: how far it has come; nil: it is over.
    func setDrop(of tenant: Tenant, _ drop: StorageV1.TenantDrop?) {
        drops[tenant] = drop
        dropsChanged = true
    }

    /// What has changed of them since the last call; nil: nothing.
    func takeChangedDrops() -> [Tenant: StorageV1.TenantDrop]? {
        defer { dropsChanged = false }
        return dropsChanged ? drops : nil
    }
}
