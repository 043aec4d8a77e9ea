/// A rare branch of the engine. Reaching it is told, so that a simulation can say which it never reached: what was not reached
/// was not tested.
public enum Branch: Int, CaseIterable, Sendable {
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
    case keyDropVoidsHold
    case dropAdmitsAnew
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
    case swept
    case tenantDropBegun
    case tenantDropEnded
    // Storage and memory.
    case writeFailed
    case flushFailed
    case windowLetGo
    case queueForgotten
    case unheardLeaseGivenBack
    case leasesBegunAnew
    case readyPageLoaded
    case neighboursLoaded
    case pageReadAhead
    case timerPageLoaded
    case jobReadBesideTask
}

/// The rare branches that were reached since they were last told. Only the shard's loop touches it.
final class Branches {
    private var counts = [Int](repeating: 0, count: Branch.allCases.count)
    private var touched: [Branch] = []

    func reached(_ branch: Branch) {
        if counts[branch.rawValue] == 0 { touched.append(branch) }
        counts[branch.rawValue] += 1
    }

    func tell(_ events: any EngineEvents) {
        for branch in touched {
            events.reached(branch, count: counts[branch.rawValue])
            counts[branch.rawValue] = 0
        }
        touched.removeAll(keepingCapacity: true)
    }
}
