import SiloCore
import SiloEngine
import SiloTelemetry

/// The events of one shard, with what somebody should look at in the log.
struct LoggedEvents: EngineEvents {
    private let shard: ShardID
    private let logger: Logger
    private let events: any EngineEvents

    init(of shard: ShardID, _ logger: Logger, _ events: any EngineEvents) {
        self.shard = shard
        self.logger = logger
        self.events = events
    }

    func turnBegan() { events.turnBegan() }
    func turnRan(_ tally: TurnTally) { events.turnRan(tally) }
    func turnEnded(_ batch: BatchSize) { events.turnEnded(batch) }
    func flushBegan() { events.flushBegan() }
    func flushEnded() { events.flushEnded() }
    func answered() { events.answered() }
    func reached(_ branch: Branch, count: Int) { events.reached(branch, count: count) }
    func polled(_ group: TaskGroup) { events.polled(group) }
    func measuredWithOthers(_ group: TaskGroup) { events.measuredWithOthers(group) }
    var measuredGroups: MeasuredGroups? { events.measuredGroups }

    /// What the shard counts is not what is stored: a fault of this program, or of the storage.
    func healed(_ fault: HealedFault, count: Int, isFirst: Bool) {
        events.healed(fault, count: count, isFirst: isFirst)
        guard isFirst else { return }
        logger.error(
            "a broken invariant was mended; please report it. Said once for each kind until the shard is opened anew",
            ["shard": .init(shard), "fault": .init(fault.rawValue)]
        )
    }
}
