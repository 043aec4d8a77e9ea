import SiloCore
import SiloStore

/// The clock of one shard. Its steady time goes on where it stood when the shard was last served, on whatever machine that was:
/// so what is stored of a length of time means the same to everybody who opens the shard.
///
/// Between two owners as much time has passed as the wall clocks say, and none when the later one shows less: then a length that
/// was under way takes no longer than it was meant to, for it had begun before.
struct ContinuedClock: Clock {
    private let clock: any Clock
    /// Milliseconds by which the shard's steady time is ahead of the machine's.
    private let ahead: Int64

    /// - Parameter info: of the shard; what the clocks showed there is from its last batch that stored the end of a length of
    ///   time.
    init(_ clock: any Clock, after info: StorageV1.ShardInfo?) {
        self.clock = clock
        guard let info, info.steadyMs != 0 else {
            ahead = 0
            return
        }
        let now = clock.moment
        let passed = max(0, now.wall - Timestamp(info.wallMs))
        ahead = Timestamp(info.steadyMs) + passed - now.steady
    }

    var now: Timestamp { clock.now }
    var steady: Timestamp { clock.steady + ahead }
    var moment: Moment {
        let moment = clock.moment
        return Moment(wall: moment.wall, steady: moment.steady + ahead)
    }
    var absences: Int { clock.absences }
    func sleep(milliseconds: Int64) async throws { try await clock.sleep(milliseconds: milliseconds) }
}

extension StorageV1.ShardInfo {
    /// How far the wall clock may be set before it is noted: more than it drifts while it is slewed.
    private static let stepNoted: Int64 = 3000

    /// Notes what the clocks show, if that is needed: because the end of a length of time is stored with it, or because the wall
    /// clock was set since, which whoever opens the shard next would take for time that has passed. False when it says so
    /// already.
    mutating func note(_ now: Moment, storesDelays: Bool, _ branches: Branches) -> Bool {
        let hasMoved = steadyMs != 0 && abs((now.wall - Timestamp(wallMs)) - (now.steady - Timestamp(steadyMs))) > Self.stepNoted
        guard hasMoved || storesDelays && steadyMs != now.steady.milliseconds else { return false }
        if hasMoved { branches.reached(.clockStepNoted) }
        wallMs = now.wall.milliseconds
        steadyMs = now.steady.milliseconds
        return true
    }
}
