import SiloCore
import SiloStore

// A job stands in exactly one place: timer, waiting, ready, leased or finished. Every command is a move between two of them, and
// the parts of a transaction are these moves. Each writes the rows of its place and keeps memory and the counts of the queue in
// step.

/// One part of what a transaction can do. Parts hold nothing of their own.
protocol Part {
    var transaction: Transaction { get }
}

extension Part {
    // The places.
    var timers: TimerMoves { TimerMoves(transaction: transaction) }
    var lines: LineMoves { LineMoves(transaction: transaction) }
    var ready: ReadyMoves { ReadyMoves(transaction: transaction) }
    var leases: LeaseMoves { LeaseMoves(transaction: transaction) }
    var finished: FinishedMoves { FinishedMoves(transaction: transaction) }
    /// A pending attempt, in whichever of the first three places it stands.
    var pending: PendingMoves { PendingMoves(transaction: transaction) }

    // What is decided.
    /// The way into the ready queue.
    var admission: Admission { Admission(transaction: transaction) }
    /// What becomes of a job when an attempt of it ends.
    var attempts: Attempts { Attempts(transaction: transaction) }
    /// What jobs take of their limits, and give back.
    var limits: LimitMoves { LimitMoves(transaction: transaction) }
    /// What came free, to those who wait for it.
    var grants: Grants { Grants(transaction: transaction) }
    /// Lines that have not been read since the shard was opened.
    var storedLines: StoredLines { StoredLines(transaction: transaction) }
    /// New values of floating limits.
    var refreshes: Refreshes { Refreshes(transaction: transaction) }

    /// A rare branch, for whoever counts: see `EngineEvents`.
    func reached(_ branch: Branch) { memory.branches.reached(branch) }

    // What they work with.
    var memory: ShardMemory { transaction.memory }
    var rows: Overlay { transaction.rows }
    var settings: EngineSettings { transaction.settings }
    var moment: Moment { transaction.moment }
    /// The wall clock: dates, and what is shown.
    var now: Timestamp { transaction.moment.wall }
    /// The shard's steady time: what lengths are measured with.
    var steady: Timestamp { transaction.moment.steady }
}

extension Transaction: Part {
    var transaction: Transaction { self }
}
