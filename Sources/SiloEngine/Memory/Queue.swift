import Protobuf
import SiloCore
import SiloStore

/// The jobs of one tenant in one task group: how many stand in each place, and the heads of those that wait.
final class Queue: WindowOwner {
    struct ID: Hashable {
        let tenant: Tenant
        let group: TaskGroup
    }

    let id: ID
    let keys: TenantKeys
    var counts: StorageV1.QueueCounts
    var ready: Window
    var timers: Window

    /// It stands among those that may be forgotten.
    var isNotedIdle = false

    /// The directory row no longer says what `counts` says.
    var isDirty = false

    var isInLoadOrder = false
    /// Nothing of it starts: its tenant or its group is paused.
    var isPaused = false

    /// The batch that is being made adds or takes away rows that the windows may not hold.
    var hasUnwrittenRows = false

    /// Where the queue stands in its group's turns.
    var turn = Turn.none
    var deficit = 0
    enum Turn { case none, fresh, settled }

    /// When the timer heap looks at the queue next; nil when it does not.
    var alarm: Timestamp?

    /// - Parameter counts: the stored directory row; what it counts has not been read yet.
    init(_ id: ID, counts: StorageV1.QueueCounts) {
        self.id = id
        self.counts = counts
        keys = TenantKeys(id.tenant)
        ready = Window(frontier: counts.ready > 0 ? Position(order: counts.readyFrom, job: JobID("")) : nil)
        timers = Window(frontier: counts.timers > 0 ? Position(order: counts.timersFrom, job: JobID("")) : nil)
    }

    /// Nothing can happen in the queue without a new request.
    var isIdle: Bool { counts.ready == 0 && counts.timers == 0 && counts.waiting == 0 && counts.leased == 0 }

    /// It has a job that may start.
    var isServable: Bool { counts.ready > 0 && !isPaused }

    var heldRows: Int { ready.count + timers.count }
    var heldBytes: Int { ready.bytes + timers.bytes }

    func letRowsGo() {
        ready.clear()
        timers.clear()
    }

    var total: UInt64 { counts.ready + counts.timers + counts.waiting + counts.leased + completed }
    var completed: UInt64 { counts.succeeded + counts.failed + counts.cancelled }

    /// The directory row that says what memory says; nil when the queue has no jobs left.
    func directoryRow() -> Write {
        let key = ShardKeys.queue(id.tenant, id.group)
        guard total > 0 else { return Write(key: key, value: nil) }
        counts.readyFrom = counts.ready > 0 ? ready.lowerBound : 0
        counts.timersFrom = counts.timers > 0 ? timers.lowerBound : 0
        return Write(key: key, value: counts.serializedBytes())
    }
}
