/// What became of spans that ended, since the process began.
public struct SpanCounts: Sendable, Equatable {
    /// Now.
    public var waiting: Int
    public var exported: UInt64
    /// There was no room for them.
    public var dropped: UInt64
    /// The collector did not take them, in time or at all.
    public var failed: UInt64

    public init(waiting: Int = 0, exported: UInt64 = 0, dropped: UInt64 = 0, failed: UInt64 = 0) {
        self.waiting = waiting
        self.exported = exported
        self.dropped = dropped
        self.failed = failed
    }
}
