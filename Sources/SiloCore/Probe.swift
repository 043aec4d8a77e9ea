import Synchronization

/// A rare branch of the program. Reaching it is counted, so that a simulation can say which it never reached: what was not
/// reached was not tested.
public enum Probe: String, CaseIterable, Sendable {
    // Limits.
    case newcomerGoesBehindLine
    case lineMovedToOtherLimit
    case slotsKeptForStarving
    case lineEndedWithItsLastJob
    case grantsLeftOver
    case waitingPageLoaded
    case linesReadAfterOpening
    case pausedLimitTurnsReadyJobBack
    case dropVoidsHold
    case floatingLowered
    case floatingRaised
    case limitForgotten
    // Refreshes.
    case refreshPlanned
    case refreshExpired
    case refreshNotTaken
    case refreshFailedWithWaiters
    case refreshFailedWithoutWaiters
    case refreshGivenBack
    case refreshByAlarm
    // Rate limits.
    case rateBlocked
    case ratePutOff
    case rateExhausted
    case bucketFullOfPromises
    case windowPassed
    case calendarWindowSetBack
    case clockStepNoted
    case bucketDrained
    case bucketReset
    case hitsGivenBack
    case leakyBucketBlocked
    // Leases and attempts.
    case leaseExpired
    case cancelledLeaseExpired
    case leaseGivenBack
    case cancelledLeaseGivenBack
    case lateReport
    case retryAtOnce
    case failureOfCancelledJob
    case heartbeatOfStranger
    case oversizedTaskPutBack
    // Jobs.
    case takenFromLine
    case takenFromReady
    case takenFromTimer
    case expeditedTimer
    case restarted
    case importedNew
    case importedFinished
    case reimportedPending
    case reimportedFinished
    case duplicateID
    case deleted
    // Storage and memory.
    case writeFailed
    case flushFailed
    case fenced
    case shardReopened
    case clockBehind
    case windowLetGo
    case queueForgotten
    case unheardLeaseGivenBack
    case leasesBegunAnew
    case readyPageLoaded
    case timerPageLoaded
    case jobReadBesideTask
    // Clients and servers.
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
