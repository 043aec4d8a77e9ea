import Synchronization

/// A rare branch of clients and servers. Reaching it is counted, so that a simulation can say which it never reached: what was
/// not reached was not tested. Those of the engine are told by its events.
public enum Probe: String, CaseIterable, Sendable {
    case fenced
    case shardReopened
    case clockBehind
    case clientRepeated
    case clientFoundItsOwnJob
    case clientPassedSlowCall
    case workerLostLease
    case workerGaveUpLease
    case workerConfirmedLease
    case clientLeftSilentConnection
    case unwantedTasksGivenBack

    private static let counts = Mutex<[Probe: Int]>([:])

    /// The branch was reached.
    public func reached() { Self.counts.withLock { $0[self, default: 0] += 1 } }

    /// How often each branch was reached since the process began.
    public static var reachedCounts: [Probe: Int] { counts.withLock { $0 } }
}
