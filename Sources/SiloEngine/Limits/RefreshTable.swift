import SiloCore
import SiloStore

/// The outstanding refresh of a floating limit: it waits for a worker, or one has it.
package final class LiveRefresh {
    let limit: SlotLimit.Name
    var record: StorageV1.Refresh
    private(set) var taskID: TaskID
    /// Until when workers of its group may take it; nil while it is not due or leased.
    var offeredUntil: Timestamp?
    /// Its place among all that were offered.
    fileprivate var offer = 0
    /// The batch that granted or renewed its lease last; nil: it was stored when the shard was opened.
    var batch: WrittenBatch?

    init(_ limit: SlotLimit.Name, _ taskID: TaskID, _ record: StorageV1.Refresh) {
        self.limit = limit
        self.taskID = taskID
        self.record = record
    }

    var group: TaskGroup { TaskGroup(record.taskGroup) }
    /// For whom it is.
    fileprivate var kinds: [WorkKind] { [WorkKind(group), WorkKind(group, of: limit.tenant)] }
    var isLeased: Bool { record.expiresAtMs != 0 }
    /// When it is due, when its offer ends, or when its lease ends.
    var alarm: Timestamp { isLeased ? Timestamp(record.expiresAtMs) : offeredUntil ?? Timestamp(record.dueAtMs) }
    var key: Bytes { ShardKeys.refresh(limit.tenant, limit.key) }
}

/// All refreshes of a shard: at most one of each limit, as their rows are named for it (spec/limits.md, L19).
struct RefreshTable {
    private var byLimit: [Limit.ID: LiveRefresh] = [:]
    private var byTask: [TaskID: LiveRefresh] = [:]
    /// Those that are due and nobody has.
    private var due: [WorkKind: SortedSet<Offer>] = [:]
    private var lastOffer = 0
    private var alarms = Heap<Alarm>()

    private struct Offer: Comparable {
        let refresh: LiveRefresh
        static func == (left: Offer, right: Offer) -> Bool { left.refresh === right.refresh }
        static func < (left: Offer, right: Offer) -> Bool { left.refresh.offer < right.refresh.offer }
    }

    private struct Alarm: Comparable {
        let at: Timestamp
        let task: TaskID
        static func < (left: Alarm, right: Alarm) -> Bool { left.at < right.at }
    }

    subscript(limit: Limit.ID) -> LiveRefresh? { byLimit[limit] }
    subscript(task: TaskID) -> LiveRefresh? { byTask[task] }
    var count: Int { byTask.count }
    var all: [LiveRefresh] { Array(byTask.values) }

    mutating func add(_ refresh: LiveRefresh) {
        byLimit[refresh.limit.id] = refresh
        byTask[refresh.taskID] = refresh
        alarms.insert(Alarm(at: refresh.alarm, task: refresh.taskID))
    }

    mutating func remove(_ refresh: LiveRefresh) {
        byLimit[refresh.limit.id] = nil
        byTask[refresh.taskID] = nil
        withdraw(refresh)
    }

    /// It was offered, leased or renewed.
    mutating func changed(_ refresh: LiveRefresh) {
        alarms.insert(Alarm(at: refresh.alarm, task: refresh.taskID))
    }

    /// No lease of a refresh ends before a time.
    mutating func beginLeasesAnew(until time: Timestamp) {
        for refresh in byTask.values where refresh.isLeased {
            refresh.record.expiresAtMs = max(refresh.record.expiresAtMs, time.milliseconds)
            changed(refresh)
        }
    }

    var nextAlarm: Timestamp? { alarms.first?.at }

    /// The next refresh that is due or whose offer or lease ended by `now`.
    /// - Parameter lease: the length of a lease, in milliseconds.
    mutating func popAlarm(by now: Timestamp, lease: Int64) -> LiveRefresh? {
        while let alarm = alarms.first, alarm.at <= now {
            alarms.popFirst()
            guard let refresh = byTask[alarm.task], refresh.alarm == alarm.at else { continue }
            guard refresh.isLeased, let batch = refresh.batch else { return refresh }
            let end = batch.endOfLease(storedAs: alarm.at, length: lease) ?? now + lease
            guard end > now else { return refresh }
            refresh.record.expiresAtMs = end.milliseconds
            changed(refresh)
        }
        return nil
    }

    /// Workers of its group may have it until a time.
    mutating func offer(_ refresh: LiveRefresh, until time: Timestamp) {
        if refresh.offeredUntil == nil {
            lastOffer += 1
            refresh.offer = lastOffer
            for kind in refresh.kinds { due[kind, default: SortedSet()].insert(Offer(refresh: refresh)) }
        }
        refresh.offeredUntil = time
        changed(refresh)
    }

    /// The next refresh for a worker.
    func first(for lease: Lease) -> LiveRefresh? {
        // Most of the time there is none for anybody.
        guard due[WorkKind(lease.group)] != nil else { return nil }
        return lease.kinds.compactMap { due[$0]?.first }.min()?.refresh
    }

    /// A worker has it.
    mutating func take(_ refresh: LiveRefresh) { withdraw(refresh) }

    private mutating func withdraw(_ refresh: LiveRefresh) {
        guard refresh.offeredUntil != nil else { return }
        for kind in refresh.kinds {
            due[kind]?.remove(Offer(refresh: refresh))
            if due[kind]?.count == 0 { due[kind] = nil }
        }
        refresh.offeredUntil = nil
    }

    func hasOffer(_ kind: WorkKind) -> Bool { due[kind] != nil }
}
