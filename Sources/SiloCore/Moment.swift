/// One look at both clocks of a machine.
public struct Moment: Sendable, Equatable {
    /// What dates are compared with.
    public let wall: Timestamp
    /// What lengths of time are measured with.
    public let steady: Timestamp

    public init(wall: Timestamp, steady: Timestamp) {
        self.wall = wall
        self.steady = steady
    }

    /// What the wall clock shows at a steady time, past or to come, unless it is set meanwhile.
    public func date(of time: Timestamp) -> Timestamp {
        time == .distantFuture ? time : wall + (time - steady)
    }
}

extension Clock {
    public var moment: Moment { Moment(wall: now, steady: steady) }
}
