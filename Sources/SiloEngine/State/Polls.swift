import SiloCore
import Synchronization

/// How workers ask for each task group. Names of groups come from callers: those that were asked for lately are remembered.
final class Polls: Sendable {
    struct Poll {
        /// In steady time.
        var last: Timestamp
        var leases = Pace()
    }
    private let polls: Mutex<Recent<TaskGroup, Poll>>

    /// - Parameter groupsMax: groups that are remembered at least; never more than twice as many.
    init(groupsMax: Int) {
        polls = Mutex(Recent(groupsMax))
    }

    /// A worker asked, and was given `tasks`.
    func note(_ group: TaskGroup, tasks: Int, at now: Timestamp) {
        polls.withLock { polls in
            var poll = polls[group] ?? Poll(last: now)
            poll.last = now
            poll.leases.record(tasks, at: now)
            polls.set(group, poll)
        }
    }

    subscript(group: TaskGroup) -> Poll? { polls.withLock { $0[group] } }

    var count: Int { polls.withLock { $0.count } }
}
