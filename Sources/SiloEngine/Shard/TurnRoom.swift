import SiloCore

/// How much one turn of the loop may still do. What does not fit waits for the next turn, so that renewals, expired leases and
/// timers are looked at in between.
struct TurnRoom {
    private var jobs: Int
    private var bytes: Int
    /// What was done.
    private(set) var taken = Weight.zero
    private var end: Timestamp
    private let milliseconds: Int64

    /// In milliseconds, on a thread that has other work to go back to.
    private static let brief: Int64 = 2

    init(_ settings: EngineSettings, from steady: Timestamp, isBrief: Bool = false) {
        milliseconds = isBrief ? min(Self.brief, settings.turnMillisecondsMax) : settings.turnMillisecondsMax
        jobs = settings.turnJobsMax
        bytes = settings.turnBytesMax
        end = steady + milliseconds
    }

    /// The part of it that renewals may take: new work gets somewhere too.
    var forRenewals: TurnRoom {
        var room = self
        room.jobs -= jobs / 4
        room.bytes -= bytes / 4
        room.end = end + -(milliseconds / 4)
        return room
    }

    mutating func take(_ weight: Weight) {
        jobs -= weight.jobs
        bytes -= weight.bytes
        taken += weight
    }

    func isSpent(at steady: Timestamp) -> Bool { jobs <= 0 || bytes <= 0 || steady >= end }
}
