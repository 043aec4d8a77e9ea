public import SiloCore

/// What waits at a shard, and what it has taken in and not answered.
public struct MailboxLoad: Sendable, Equatable {
    /// What the shard sent itself, heartbeats and outcomes, and all else.
    public var own: Int
    public var renewals: Int
    public var ordinary: Int
    /// When the oldest that waits came in, in the shard's steady time.
    public var oldest: Timestamp?
    /// Calls, and their bytes, that are not answered, whether they wait or not.
    public var inHand: Int
    public var inHandBytes: Int
    /// It takes nothing more in.
    public var isStopped: Bool
}

/// What a shard does at a moment.
public struct ShardActivity: Sendable, Equatable {
    /// That moment; all that is not said to be a date is in the shard's steady time.
    public var at: Moment
    public var mailbox: MailboxLoad
    /// Nil: the loop waits for work.
    public var turnBegan: Timestamp?
    /// Nil: nothing is being flushed.
    public var flushBegan: Timestamp?
    /// Answers that wait for this flush or the next.
    public var answersOwed: Int
    /// The date, and the time, at which the loop looks for what is due; distant: there is nothing to look for.
    public var nextDate: Timestamp
    public var nextAlarm: Timestamp
}
