public import SiloCore
import SiloStore

/// What a shard tells of its work to whoever measures it. Everything but `polled` is called on the shard's own tasks, once a turn
/// or a flush at most, and must return at once.
///
/// What takes time is told as it begins and as it ends, one at a time: whoever wants to know how long it took has a clock.
public protocol EngineEvents: Sendable {
    func turnBegan()
    /// The commands of the turn have run, and came to this. Its batch is written next.
    func turnRan(_ tally: TurnTally)
    /// The turn has written its batch, which may be empty.
    func turnEnded(_ batch: BatchSize)
    func flushBegan()
    /// What was written before the flush began is durable. Not told of a flush that failed.
    func flushEnded()
    /// Whoever waited for the flush has been answered.
    func answered()
    /// A broken invariant was mended in passing: a bug, here or below.
    /// - Parameters:
    ///   - count: how often in this turn.
    ///   - isFirst: there was none of its kind since the shard was opened.
    func healed(_ fault: HealedFault, count: Int, isFirst: Bool)
    /// - Parameter count: how often in this turn.
    func reached(_ branch: Branch, count: Int)
    /// A worker asked for tasks of a group, whom the shard was not asked for because it has none. Called by whoever serves the
    /// worker; what the shard is asked itself is in the tally of the turn.
    func polled(_ group: TaskGroup)
    /// What was counted of a group by itself is counted with the others from now on: it gave its place to another.
    func measuredWithOthers(_ group: TaskGroup)
    /// Which groups whoever measures counts by themselves. Asked once, as the shard is opened; nil: they are the shard's own.
    var measuredGroups: MeasuredGroups? { get }
}

extension EngineEvents {
    public func turnBegan() {}
    public func turnRan(_ tally: TurnTally) {}
    public func turnEnded(_ batch: BatchSize) {}
    public func flushBegan() {}
    public func flushEnded() {}
    public func answered() {}
    public func healed(_ fault: HealedFault, count: Int, isFirst: Bool) {}
    public func reached(_ branch: Branch, count: Int) {}
    public func polled(_ group: TaskGroup) {}
    public func measuredWithOthers(_ group: TaskGroup) {}
    public var measuredGroups: MeasuredGroups? { nil }
}

/// Nobody measures.
public struct NoEvents: EngineEvents {
    public init() {}
}

/// How large a batch is; counted when it is asked for.
public struct BatchSize: Sendable {
    private let batch: [Write]

    init(of batch: [Write]) {
        self.batch = batch
    }

    public var rows: Int { batch.count }
    /// Of keys and values.
    public var bytes: Int { batch.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) } }
}
