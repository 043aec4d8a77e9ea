import SiloCore

/// Task groups for whose workers something has changed.
struct GroupNews {
    /// Work came or went since the gauge was told.
    private var changed: Set<TaskGroup> = []
    private var ready: Set<TaskGroup> = []
    /// Of workers that were cut short before they found anything.
    private(set) var unserved: Set<TaskGroup> = []

    mutating func workCame(for group: TaskGroup) { ready.insert(group) }

    mutating func workChanged(for group: TaskGroup) { changed.insert(group) }

    /// Workers that wait for the group are looked at again in the next turn, which comes at once.
    mutating func lookAgain(for group: TaskGroup) { unserved.insert(group) }

    /// Groups whose waiting workers may find work: it came since the last call, or they did not come so far.
    mutating func takeReady() -> Set<TaskGroup> {
        defer {
            ready.removeAll(keepingCapacity: true)
            unserved = []
        }
        return unserved.isEmpty ? ready : ready.union(unserved)
    }

    mutating func takeChanged() -> Set<TaskGroup> {
        defer { changed.removeAll(keepingCapacity: true) }
        return changed
    }
}
