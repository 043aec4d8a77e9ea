import SiloCore

/// For whose workers something has changed.
struct GroupNews {
    /// Work came or went since the gauge was told.
    private var changed: Set<TaskGroup> = []
    private var ready: Set<WorkKind> = []
    /// Of workers that were cut short before they found anything.
    private(set) var unserved: Set<WorkKind> = []

    mutating func workCame(for kind: WorkKind) { ready.insert(kind) }

    mutating func workChanged(for group: TaskGroup) { changed.insert(group) }

    /// Workers that wait for it are looked at again in the next turn, which comes at once.
    mutating func lookAgain(for kind: WorkKind) { unserved.insert(kind) }

    /// What waiting workers may find: it came since the last call, or they did not come so far.
    mutating func takeReady() -> Set<WorkKind> {
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
