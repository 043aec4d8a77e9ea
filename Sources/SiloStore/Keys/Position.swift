public import SiloCore

/// Where the row of a pending attempt stands among others: by rank or by when it is due, then in the order in which the jobs
/// came.
public struct Position: Comparable, Sendable {
    /// Rank, or when it is due.
    public let order: UInt64
    /// Counts the shard's jobs in the order in which they came. No two have the same; the job is there to be named.
    public let arrival: UInt64
    public let job: JobID

    public init(order: UInt64, arrival: UInt64, job: JobID) {
        self.order = order
        self.arrival = arrival
        self.job = job
    }

    /// Before all of this order.
    public init(from order: UInt64) {
        self.init(order: order, arrival: 0, job: JobID(""))
    }

    /// Right behind this one: no id sorts between it and the same followed by a zero byte.
    public var next: Position { Position(order: order, arrival: arrival, job: JobID(job.text + "\0")) }

    public static func < (left: Position, right: Position) -> Bool {
        if left.order != right.order { return left.order < right.order }
        if left.arrival != right.arrival { return left.arrival < right.arrival }
        return left.job < right.job
    }
}
