import SiloCore

/// Which clock says that a time has come.
enum Axis: CaseIterable {
    /// Of dates, that callers or the calendar name: they follow the wall clock wherever it is set.
    case wall
    /// Of lengths of time: the shard's steady time, which nobody sets.
    case steady
}

/// One thing for each of the two clocks.
struct PerAxis<Value> {
    var wall: Value
    var steady: Value

    init(_ both: Value) {
        wall = both
        steady = both
    }

    init(wall: Value, steady: Value) {
        self.wall = wall
        self.steady = steady
    }

    subscript(axis: Axis) -> Value {
        get { axis == .wall ? wall : steady }
        _modify {
            if axis == .wall { yield &wall } else { yield &steady }
        }
    }
}

/// When something is to happen: at a date, or when a length of time has passed.
struct Due: Equatable {
    let axis: Axis
    let at: Timestamp

    static func date(_ at: Timestamp) -> Due { Due(axis: .wall, at: at) }
    static func delay(until at: Timestamp) -> Due { Due(axis: .steady, at: at) }

    func hasCome(by now: Moment) -> Bool { at <= now[axis] }

    /// Milliseconds from `now` on; below 0 when it is past.
    func wait(from now: Moment) -> Int64 { at - now[axis] }

    /// What the wall clock shows then, unless it is set meanwhile.
    func date(at now: Moment) -> Timestamp { axis == .wall ? at : now.date(of: at) }
}

extension Moment {
    subscript(axis: Axis) -> Timestamp { axis == .wall ? wall : steady }
}
