package import SiloCore

/// What a server counts, at one moment. Counts go on from the start of the process; levels are as they are.
package struct Figures: Sendable {
    /// Counts since the process began.
    package var enqueued: UInt64 = 0
    package var started: UInt64 = 0
    package var succeeded: UInt64 = 0
    package var failed: UInt64 = 0
    package var cancelled: UInt64 = 0
    /// How long jobs that started had been ready, and how long those that ended had run: how often each of `LatencyScale`.
    package var readyToStart: [UInt64] = []
    package var runTime: [UInt64] = []
    /// The upper bounds of both, in milliseconds; the last count is of what is longer.
    package var bounds: [Int64] = []
    /// The same of run times of a group.
    package var groupBounds: [Int64] = []

    /// Levels.
    package var jobs = Jobs()
    /// Of the oldest job that is ready; nil: none is, as far as memory tells.
    package var oldestReadyMilliseconds: Int64?
    package var groups: [Group] = []
    package var shards: [Shard] = []
    package var node = Node()

    package struct Jobs: Sendable, Equatable {
        /// For a later time, or after a failure.
        package var scheduled: Int64 = 0
        /// At a limit.
        package var waiting: Int64 = 0
        package var ready: Int64 = 0
        package var running: Int64 = 0
        /// Those that are kept.
        package var succeeded: Int64 = 0
        package var failed: Int64 = 0
        package var cancelled: Int64 = 0
        package var waitingWorkers = 0
        package init() {}
    }

    /// A task group over all shards.
    package struct Group: Sendable {
        package let name: String
        package var jobs = Jobs()
        /// Of those that are ready, those whose tenant or group is paused.
        package var paused: Int64 = 0
        /// Paused jobs do not count.
        package var oldestReadyMilliseconds: Int64?
        /// Counts since the process began.
        package var started: UInt64 = 0
        package var ended: UInt64 = 0
        /// How long attempts that ended had run: how often each of `groupBounds`.
        package var runTime: [UInt64] = []
        /// It is of all task groups that are not counted by themselves, because there are too many.
        package var isRest = false
        package init(_ name: String) { self.name = name }
    }

    package struct Shard: Sendable {
        package let id: String
        package var state = State.opening
        /// What keeps it from serving; nil: it serves.
        package var trouble: String?
        /// `[start, end)` of the hashes of its tenants.
        package var range = ""
        /// The parts of the routing space that it holds.
        package var slices = 0...0
        package var createdAt = Timestamp(0)
        /// Its jobs by where they stand, and those that ended.
        package var places = Jobs()
        package var succeeded: Int64 = 0
        package var failed: Int64 = 0
        package var cancelled: Int64 = 0
        package var jobs: Int64 = 0
        package var finished: Int64 = 0
        package var leases = 0
        package var waitingWorkers = 0
        /// The oldest request that it has not looked at, in milliseconds.
        package var oldestRequestMilliseconds: Int64 = 0
        /// How long the flush under way takes, in milliseconds; 0: none is.
        package var flushMilliseconds: Int64 = 0
        /// Slots that the last audit found held wrongly, invariants that were mended, and how many audits there were.
        package var wrongSlots = 0
        package var mended = 0
        package var audits = 0
        package var activity = Activity()
        /// Nil: it has no log of its own, or is not open.
        package var log: Log?
        package init(_ id: String) { self.id = id }

        package enum State: Sendable {
            case serves, opening
            /// It could not be opened, or stopped; it is tried again.
            case failed
            /// The clock is behind: it is only read.
            case behind
            case closed, moved
        }
    }

    /// What a shard does at the moment.
    package struct Activity: Sendable {
        /// Requests that wait: its own, heartbeats and outcomes, all else.
        package var own = 0
        package var renewals = 0
        package var ordinary = 0
        /// Those that are not answered, whether they wait or not.
        package var inHand = 0
        package var inHandBytes = 0
        package var answersOwed = 0
        /// How long the turn takes that is under way; nil: the loop waits for work.
        package var turnMilliseconds: Int64?
        /// Until the loop looks for what is due; nil: there is nothing.
        package var alarmMilliseconds: Int64?
        package var queues = 0
        package var windowedTasks = 0
        package var limits = 0
        package var lines = 0
        package var pauses = 0
        package var bulkActions = 0
        package init() {}
    }

    /// A log on a local disk, and the rows above it that are not in sorted files.
    package struct Log: Sendable {
        package var bytes: UInt64 = 0
        package var overlayBytes = 0
        package var checkpoints = 0
        package var checkpointedAt: Timestamp?
        package init() {}
    }

    package struct Node: Sendable {
        package var name = ""
        package var version = ""
        /// What it was built from, and of which version.
        package var builtFrom: [(name: String, version: String)] = []
        package var address = ""
        package var data = ""
        package var durability = ""
        package var startedAt = Timestamp(0)
        /// Why new jobs are refused; nil: they are taken.
        package var refusesJobs: String?
        package var freeBytes: UInt64?
        package var diskBytes: UInt64?
        package var dataBytes: UInt64?
        /// Lines of the audit log that were lost; nil: there is no audit log.
        package var auditLinesLost: Int?
        package init() {}
    }

    package init() {}
}
