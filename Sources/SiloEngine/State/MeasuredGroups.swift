public import SiloCore
import Synchronization

/// Which task groups of a shard are measured by themselves. All others are measured together, as `other`: names of groups come
/// from callers, and nobody shall fill memory and the collector with them.
///
/// While there are places, every group takes one. When all are taken, a group that has work takes the place of the one that has
/// been without work for longest: of one that nobody has used for ten minutes, or of one that never had work since it took its
/// place. One that workers only ask for takes a place of the first kind. A group that has work keeps its place.
///
/// It outlives a shard that is opened anew.
public final class MeasuredGroups: Sendable {
    fileprivate struct Use {
        /// Some of its jobs have not finished.
        var hasWork = false
        var hadWork = false
        /// When it last had work or was asked for, in steady time.
        var last: Timestamp
    }
    fileprivate struct State {
        var places: [TaskGroup: Use] = [:]
        /// Groups that were asked for and have no place, since somebody looked.
        var asked: Set<TaskGroup> = []
    }
    private let state = Mutex(State())
    private let countMax: Int

    /// What stands for all others, and for the one of this name.
    public static let other = TaskGroup("other")
    /// How long a group that had work keeps its place without any.
    static let keptMilliseconds: Int64 = 600_000

    public init(countMax: Int) {
        self.countMax = countMax
    }

    public func contains(_ group: TaskGroup) -> Bool { state.withLock { $0.places[group] != nil } }

    /// Some groups may be measured together.
    public var isFull: Bool { state.withLock { $0.places.count >= countMax } }

    /// The shard is opened: nothing is known of its jobs yet.
    func shardOpens() {
        state.withLock { state in for group in state.places.keys { state.places[group]?.hasWork = false } }
    }

    /// A worker asks for a group.
    func asked(for group: TaskGroup, at now: Timestamp) {
        state.withLock { state in
            if state.takePlace(group, of: countMax, at: now) {
                state.places[group]?.last = now
            } else if group != Self.other, state.asked.count < countMax {
                state.asked.insert(group)
            }
        }
    }

    /// Whether the group has a place, or takes one that is free.
    func takePlace(_ group: TaskGroup, at now: Timestamp) -> Bool {
        state.withLock { $0.takePlace(group, of: countMax, at: now) }
    }

    /// The jobs of groups have changed.
    func note(_ groups: [(group: TaskGroup, hasWork: Bool)], at now: Timestamp) {
        state.withLock { state in
            for (group, hasWork) in groups {
                guard var use = state.places[group] else { continue }
                use.hasWork = hasWork
                use.hadWork = use.hadWork || hasWork
                use.last = now
                state.places[group] = use
            }
        }
    }

    /// Gives places to groups that have none.
    /// - Parameter waiting: those of them that have work.
    /// - Returns: those that lost their places, and those that have them now.
    func exchange(for waiting: () -> [TaskGroup], at now: Timestamp) -> (left: [TaskGroup], came: [TaskGroup]) {
        state.withLock { state in
            defer { state.asked.removeAll() }
            guard state.places.count >= countMax else { return ([], []) }
            func isUnused(_ use: Use) -> Bool { now - use.last >= Self.keptMilliseconds }
            var losers = state.places.filter { !$0.value.hasWork && (!$0.value.hadWork || isUnused($0.value)) }
                .sorted { ($1.value.last, $1.key.text) < ($0.value.last, $0.key.text) }
            guard !losers.isEmpty else { return ([], []) }
            var (left, came): ([TaskGroup], [TaskGroup]) = ([], [])
            func give(_ group: TaskGroup, hasWork: Bool) {
                guard let loser = losers.popLast() else { return }
                state.places[loser.key] = nil
                state.places[group] = Use(hasWork: hasWork, hadWork: hasWork, last: now)
                left.append(loser.key)
                came.append(group)
            }
            for group in waiting() { give(group, hasWork: true) }
            for group in state.asked.sorted(by: { $0.text < $1.text }) where state.places[group] == nil {
                guard let last = losers.last, isUnused(last.value) else { break }
                give(group, hasWork: false)
            }
            return (left, came)
        }
    }
}

extension MeasuredGroups.State {
    fileprivate mutating func takePlace(_ group: TaskGroup, of countMax: Int, at now: Timestamp) -> Bool {
        if places[group] != nil { return true }
        guard places.count < countMax, group != MeasuredGroups.other else { return false }
        places[group] = MeasuredGroups.Use(last: now)
        return true
    }
}
