import Protobuf
import SiloCore
import SiloStore

/// The jobs of one tenant in one task group: how many stand in each place, and the heads of those that wait.
package final class Queue: WindowOwner, RowOwner, Forgettable {
    struct ID: Hashable {
        let tenant: Tenant
        let group: TaskGroup
    }

    let id: ID
    let keys: TenantKeys
    var counts: StorageV1.QueueCounts
    var ready: Window
    var timers: PerAxis<Timers>

    /// The period in which a job of the queue ended last, by its state: known to be in the index.
    var lastPeriods: [UInt8: FinishedPeriod] = [:]

    /// Jobs that ended lately, and those of them that failed. Memory alone has it.
    var ended = Lately()
    var failures = Lately()

    /// It stands among those that may be forgotten.
    var isNotedIdle = false

    /// What the levels of its group say of it: see `GroupLevels`.
    var notedCounts: StorageV1.QueueCounts
    var notedPaused: Int64 = 0
    var notedStart: Int64?
    var notedHead = 0

    /// The directory row no longer says what `counts` says.
    var isDirty = false

    var heldSince = 0
    /// Nothing of it starts: its tenant or its group is paused.
    var isPaused = false

    /// The batch that is being made adds or takes away rows that the windows may not hold.
    var hasUnwrittenRows = false

    /// Where the queue stands in its group's turns.
    var turn = Turn.none
    var place = 0
    var deficit = 0
    /// When its last turn ended; see `WindowPool`.
    var lastTurn = 0
    enum Turn { case none, fresh, settled, forward }

    /// Ready rows that were taken lately, which the store may still have to walk over.
    var taken = TakenRows()

    /// Pending attempts that wait for a date, or for a length of time to pass.
    struct Timers {
        var window: Window
        /// When the heap of alarms looks at them next; nil when it does not.
        var alarm: Timestamp?
    }

    /// - Parameter counts: the stored directory row; what it counts has not been read yet.
    init(_ id: ID, counts: StorageV1.QueueCounts) {
        self.id = id
        self.counts = counts
        notedCounts = counts
        keys = TenantKeys(id.tenant)
        ready = Window(frontier: counts.ready > 0 ? Position(from: counts.readyFrom) : nil)
        timers = PerAxis(
            wall: Timers(window: Window(frontier: counts.dates > 0 ? Position(from: counts.datesFrom) : nil)),
            steady: Timers(window: Window(frontier: counts.delays > 0 ? Position(from: counts.delaysFrom) : nil))
        )
    }

    /// Nothing can happen in the queue without a new request.
    var isIdle: Bool { counts.ready == 0 && counts.dates == 0 && counts.delays == 0 && counts.waiting == 0 && counts.leased == 0 }

    /// It has a job that may start.
    var isServable: Bool { counts.ready > 0 && !isPaused }

    /// A turn would read the store: memory holds less of what is ready than a turn takes. What is stored is all there is.
    func runsDry(after quantum: Int) -> Bool {
        isServable && !hasUnwrittenRows && ready.frontier != nil && ready.count < min(quantum, Int(clamping: counts.ready))
    }

    /// When the job that is next could have started. That of the one before, or of what the directory row said, while memory does
    /// not hold it; nil: nothing is ready.
    var nextStart: Int64? {
        guard counts.ready > 0 else { return nil }
        return ready.first?.record.startMs ?? (counts.readyStartMs > 0 ? counts.readyStartMs : nil)
    }

    var heldRows: Int { ready.count + timers.wall.window.count + timers.steady.window.count }
    var heldBytes: Int { ready.bytes + timers.wall.window.bytes + timers.steady.window.bytes }

    func letRowsGo() {
        ready.clear()
        for axis in Axis.allCases { timers[axis].window.clear() }
    }

    var total: UInt64 { counts.ready + counts.dates + counts.delays + counts.waiting + counts.leased + completed }
    var completed: UInt64 { counts.succeeded + counts.failed + counts.cancelled }

    /// The directory row that says what memory says; nil when the queue has no jobs left.
    func directoryRow() -> Write {
        let key = ShardKeys.queue(id.tenant, id.group)
        guard total > 0 else { return Write(key: key, value: nil) }
        counts.readyFrom = counts.ready > 0 ? ready.lowerBound : 0
        counts.readyStartMs = nextStart ?? 0
        counts.datesFrom = counts.dates > 0 ? timers.wall.window.lowerBound : 0
        counts.delaysFrom = counts.delays > 0 ? timers.steady.window.lowerBound : 0
        return Write(key: key, value: counts.serializedBytes())
    }
}

extension StorageV1.QueueCounts {
    /// Timers of one clock.
    subscript(axis: Axis) -> UInt64 {
        get { axis == .wall ? dates : delays }
        set { if axis == .wall { dates = newValue } else { delays = newValue } }
    }
}

extension TenantKeys {
    func timer(_ axis: Axis, _ group: TaskGroup, _ position: Position) -> Bytes {
        axis == .wall ? date(group, position) : delay(group, position)
    }

    func timers(_ axis: Axis, _ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        axis == .wall ? dates(group, from: position) : delays(group, from: position)
    }
}
