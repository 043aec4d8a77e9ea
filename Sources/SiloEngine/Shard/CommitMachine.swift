import SiloCore

/// Decides when a shard's log is flushed and who is answered then: one flush serves everybody whose batch was written before it
/// began.
///
/// It does nothing itself. Whoever runs it asks for the next step, does that, and says how it ended.
struct CommitMachine<Work> {
    /// What is to be done now.
    enum Step {
        case answer([Work])
        case flush
        case pause(milliseconds: Int64)
        /// Nothing, until something changes.
        case wait
        /// Nothing any more.
        case end
    }

    /// The least time between the beginnings of two flushes.
    var flushGap: Int64
    /// Those whom no flush that has begun covers.
    private var waiting: [Work] = []
    private var hasUnflushedWrites = false
    /// Those whom the flush under way covers; nil: there is none.
    private var covered: [Work]?
    private var lastFlush: Timestamp?
    /// There was no space for the last flush; it is tried again then.
    private var fullUntil: Timestamp?
    private(set) var isStopped = false
    static var fullPause: Int64 { 500 }

    /// - Parameter flushGapMilliseconds: the least time between the beginnings of two flushes.
    init(flushGapMilliseconds: Int64) {
        flushGap = flushGapMilliseconds
    }

    /// A turn has ended. Work that has met nothing but what is durable is done.
    /// - Parameter wrote: it has written a batch.
    /// - Returns: those to answer now; the others wait for a flush.
    mutating func add(_ work: [Work], wrote: Bool) -> [Work] {
        if wrote { hasUnflushedWrites = true }
        guard hasUnflushedWrites || covered != nil else { return work }
        waiting += work
        return []
    }

    var answersOwed: Int { waiting.count + (covered?.count ?? 0) }

    /// There is nothing to do until something changes.
    var isIdle: Bool { !hasUnflushedWrites && waiting.isEmpty && !isStopped }

    /// The next step of whoever runs it, who has done the one before.
    mutating func next(at steady: Timestamp) -> Step {
        guard hasUnflushedWrites || !waiting.isEmpty else { return isIdle ? .wait : .end }
        if flushGap > 0, let lastFlush, steady < lastFlush + flushGap {
            return .pause(milliseconds: lastFlush + flushGap - steady)
        }
        if let fullUntil, steady < fullUntil, !isStopped { return .pause(milliseconds: fullUntil - steady) }
        defer { waiting = [] }
        // What came during the last flush and wrote nothing.
        guard hasUnflushedWrites else { return .answer(waiting) }
        hasUnflushedWrites = false
        covered = waiting
        lastFlush = steady
        return .flush
    }

    /// The flush has ended well.
    /// - Returns: those whom it covered.
    mutating func flushEnded() -> [Work] {
        defer { (covered, fullUntil) = (nil, nil) }
        return covered ?? []
    }

    /// There was no space for what it should have made durable, which stays to be flushed.
    /// - Returns: those whom it should have covered: they hear so.
    mutating func flushWasFull(at steady: Timestamp) -> [Work] {
        hasUnflushedWrites = true
        fullUntil = steady + Self.fullPause
        defer { covered = nil }
        return covered ?? []
    }

    /// The flush has failed, and there is no other: nobody is answered any more.
    /// - Returns: those whom it would have covered.
    mutating func flushFailed() -> [Work] {
        defer { covered = [] }
        return covered ?? []
    }

    /// No more turns come. What is written is flushed and answered still.
    mutating func stop() {
        isStopped = true
    }

    /// Nothing more becomes durable.
    /// - Returns: those who wait for a flush that has not begun.
    mutating func abort() -> [Work] {
        isStopped = true
        defer { waiting = [] }
        return waiting
    }
}
