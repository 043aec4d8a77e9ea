import SiloCore
import Synchronization

/// What the server counted lately: now, the last 15 minutes and the last 24 hours. In memory alone, less than 1 MB.
final class History: Sendable {
    struct State: Sendable {
        var now = Figures()
        /// The last seconds, for rates of now.
        var seconds: Timeline
        var minutes: Timeline
        var day: Timeline
        var groups = GroupHistory()
        fileprivate var last: (figures: Figures, at: Timestamp)?
    }
    private let state: Mutex<State>

    /// The span that rates of now are of.
    static let rateSeconds = 5
    /// And quantiles of now.
    static let quantileSeconds = 60

    init(at steady: Timestamp) {
        state = Mutex(State(
            seconds: Timeline(slotMilliseconds: 1000, slots: Self.quantileSeconds, at: steady),
            minutes: Timeline(slotMilliseconds: 5000, slots: 180, at: steady),
            day: Timeline(slotMilliseconds: 300_000, slots: 288, at: steady)
        ))
    }

    /// - Parameter steady: of a clock that never goes back.
    func add(_ figures: Figures, at steady: Timestamp) {
        state.withLock { state in
            if let last = state.last {
                let slot = Timeline.Slot(from: last.figures, to: figures, milliseconds: steady - last.at)
                state.seconds.add(slot, at: steady)
                state.minutes.add(slot, at: steady)
                state.day.add(slot, at: steady)
            }
            state.groups.add(figures, at: steady)
            state.last = (figures, steady)
            state.now = figures
        }
    }

    /// All of it, as it is at this moment.
    var snapshot: State { state.withLock { $0 } }
    var node: Figures.Node { state.withLock { $0.now.node } }
    var now: Figures { state.withLock { $0.now } }
}

extension Timeline.Slot {
    init(from before: Figures, to now: Figures, milliseconds: Int64) {
        self.init()
        enqueued = now.enqueued &- before.enqueued
        started = now.started &- before.started
        succeeded = now.succeeded &- before.succeeded
        failed = now.failed &- before.failed
        self.milliseconds = max(0, milliseconds)
        backlog = now.jobs.ready + now.jobs.waiting
        running = now.jobs.running
        oldestReadyMilliseconds = now.oldestReadyMilliseconds ?? 0
        readyToStart = Latencies(from: before.readyToStart, to: now.readyToStart)
        runTime = Latencies(from: before.runTime, to: now.runTime)
    }

    /// Several together; nil: nobody looked.
    init?(merging slots: some Sequence<Timeline.Slot?>) {
        var sum: Timeline.Slot?
        for case let slot? in slots { sum = sum.map { $0.adding(slot) } ?? slot }
        guard let sum else { return nil }
        self = sum
    }
}
