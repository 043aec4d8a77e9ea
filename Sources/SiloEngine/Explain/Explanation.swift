public import SiloCore

/// Why a job is not running now.
public struct Explanation: Sendable {
    public var status: JobStatusName
    public var taskGroup: TaskGroup
    /// The pending or running attempt, or the last.
    public var attempt: UInt32
    /// One sentence for people.
    public var summary = ""
    /// All that is in the job's way, what it waits for first. Empty for one that runs or has ended.
    public var obstacles: [Obstacle] = []
    /// It does not start before then, unless those before it go or a limit makes room early (a cancel, a reset).
    public var earliestStart: Timestamp?
    /// When it will start if things go on as they did lately.
    public var estimatedStart: Timestamp?
    /// Workers that wait for work of its group right now.
    public var workersWaiting = 0
    /// When a worker last asked for work of its group.
    public var lastPoll: Timestamp?

    public struct Obstacle: Sendable {
        public enum Kind: Sendable {
            case timer, concurrency, floating, rate, readyQueue, noWorker, paused, externalRate
        }
        public var kind: Kind
        /// The job waits here; what is not marked would be in its way next.
        public var blocksNow: Bool
        public var text = ""
        /// Of a limit: its key, or `name/unique key`.
        public var key = ""
        /// Slots, or hits that the bucket has room for.
        public var max: UInt64 = 0
        /// Slots held, or hits used and promised.
        public var inUse: UInt64 = 0
        public var holders: [Holder] = []
        /// Jobs that go before it here.
        public var ahead: UInt64 = 0
        /// There are at least so many: counting was cut off.
        public var aheadIsLeast = false
        public var until: Timestamp?
        /// Milliseconds, guessed.
        public var estimate: Int64?
    }

    /// A job that holds a slot.
    public struct Holder: Sendable {
        public var job: JobID
        public var group: TaskGroup
        /// Of a running job; nil for one that is ready and waits for a worker.
        public var running: (task: TaskID?, worker: String, since: Timestamp)?
    }
}
