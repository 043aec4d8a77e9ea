import SiloCore
import SiloEngine
import SiloService
import SiloStore
import SiloTelemetry
import SiloWeb
import SlateDB

/// Reads what the web page shows of this moment. Like `ShardLevels` it asks no task of a shard, so one that hangs shows that it
/// does.
struct FiguresReader {
    /// Nil: nothing is measured.
    let metrics: NodeMetrics?
    /// Nil: the shards are being opened.
    let parts: NodeParts?

    func read() -> Figures {
        var figures = Figures()
        metrics?.add(to: &figures)
        guard let parts else { return figures }
        figures.node.name = parts.identity.id
        figures.node.address = parts.identity.address
        figures.node.durability = parts.shards.durability
        if let room = parts.room {
            figures.node.refusesJobs = room.refusal
            figures.node.freeBytes = room.use.freeBytes
            figures.node.diskBytes = room.use.diskBytes
            figures.node.dataBytes = room.use.dataBytes
        }
        var groups = Dictionary(figures.groups.map { (TaskGroup($0.name), $0) }) { first, _ in first }
        for host in parts.shards.hosts {
            figures.shards.append(shard(host))
            guard let shard = host.shard else { continue }
            figures.jobs.waitingWorkers += shard.counts.waitingWorkers
            for (group, level) in shard.groups {
                groups[group, default: Figures.Group(group.text)].add(level, at: shard.moment.wall)
                figures.jobs.add(level.jobs)
            }
            if metrics?.shard(host.id).hasOtherGroups ?? false { groups[MeasuredGroups.other]?.isRest = true }
        }
        figures.groups = Array(groups.values)
        figures.oldestReadyMilliseconds = figures.groups.compactMap(\.oldestReadyMilliseconds).max()
        return figures
    }

    private func shard(_ host: ShardHost) -> Figures.Shard {
        var figures = Figures.Shard(host.id.description)
        figures.range = host.range.description
        figures.slices = Self.slices(host.range)
        let current = host.current
        guard case .serving(let shard, let store) = current else {
            figures.state = Self.state(current, hasFailed: host.failure != nil)
            figures.trouble = Self.trouble(current)
            return figures
        }
        figures.state = .serves
        figures.createdAt = shard.createdAt
        let counts = shard.counts
        figures.jobs = counts.total
        figures.finished = counts.completed
        figures.leases = counts.leases
        figures.waitingWorkers = counts.waitingWorkers
        let activity = shard.activity
        func age(_ began: Timestamp?) -> Int64 { began.map { max(0, activity.at.steady - $0) } ?? 0 }
        figures.oldestRequestMilliseconds = age(activity.mailbox.oldest)
        figures.flushMilliseconds = age(activity.flushBegan)
        let (audits, last) = shard.audit
        figures.audits = Int(clamping: audits)
        figures.wrongSlots = Int(clamping: last.ghosts + last.missing + last.voidsOff)
        figures.mended = counts.healed.values.reduce(0, +)
        for level in shard.groups.values {
            figures.places.add(level.jobs)
            figures.succeeded += level.jobs.succeeded
            figures.failed += level.jobs.failed
            figures.cancelled += level.jobs.cancelled
        }
        figures.activity = Figures.Activity(activity, counts)
        figures.activity.bulkActions = shard.bulkCount
        figures.log = (store as? LoggedStore).map { Figures.Log($0.load) }
        return figures
    }

    private static func slices(_ range: ShardRange) -> ClosedRange<Int> {
        let first = range.start.map { Int(Slice(of: $0).number) } ?? 0
        let end = range.end.map { end in
            let slice = Slice(of: end)
            return Int(slice.number) + (slice.firstHash < end ? 1 : 0)
        } ?? Slice.count
        return first...max(first, end - 1)
    }

    private static func state(_ state: HostedShardState, hasFailed: Bool) -> Figures.Shard.State {
        switch state {
        case .opening: hasFailed ? .failed : .opening
        case .behind: .behind
        case .serving: .serves
        case .closed: .closed
        case .moved: .moved
        }
    }

    private static func trouble(_ state: HostedShardState) -> String {
        switch state {
        case .opening(let why): why
        case .behind(let store): store.clockLag?.description ?? "this machine's clock is behind its last write; it is only read"
        case .serving: ""
        case .closed: "it is closed"
        case .moved: "another server has it"
        }
    }
}

extension Figures.Activity {
    fileprivate init(_ activity: ShardActivity, _ counts: ShardCounts) {
        self.init()
        let mailbox = activity.mailbox
        (own, renewals, ordinary) = (mailbox.own, mailbox.renewals, mailbox.ordinary)
        (inHand, inHandBytes, answersOwed) = (mailbox.inHand, mailbox.inHandBytes, activity.answersOwed)
        turnMilliseconds = activity.turnBegan.map { max(0, activity.at.steady - $0) }
        let alarms = [(activity.nextDate, activity.at.wall), (activity.nextAlarm, activity.at.steady)]
        alarmMilliseconds = alarms.filter { $0.0 != .distantFuture }.map { max(0, $0.0 - $0.1) }.min()
        (queues, windowedTasks) = (counts.queues, counts.windowedTasks)
        (limits, lines, pauses) = (counts.limits, counts.lines, counts.pauses)
    }
}

extension Figures.Log {
    fileprivate init(_ load: LogLoad) {
        self.init()
        bytes = UInt64(max(0, load.segments * load.segmentBytes))
        overlayBytes = load.overlayBytes
        checkpoints = load.checkpoints
        checkpointedAt = load.checkpointedAt
    }
}

extension Figures.Jobs {
    fileprivate mutating func add(_ counts: JobCounts) {
        scheduled += counts.scheduled
        waiting += counts.waiting
        ready += counts.ready
        running += counts.running
        succeeded += counts.succeeded
        failed += counts.failed
        cancelled += counts.cancelled
    }
}

extension Figures.Group {
    fileprivate mutating func add(_ level: GroupLevel, at now: Timestamp) {
        jobs.add(level.jobs)
        paused += level.paused
        guard let oldest = level.oldestReady else { return }
        oldestReadyMilliseconds = max(oldestReadyMilliseconds ?? 0, now - oldest)
    }
}
