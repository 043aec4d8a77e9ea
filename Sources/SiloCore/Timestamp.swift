/// A moment in milliseconds since the Unix epoch. Arithmetic saturates.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let milliseconds: Int64
    public init(_ milliseconds: Int64) { self.milliseconds = milliseconds }

    public static let distantFuture = Timestamp(.max)

    /// Negative moments sort as the epoch (spec/jobs.md 1, note 2).
    public var sortable: UInt64 { UInt64(max(0, milliseconds)) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    public static func + (moment: Timestamp, milliseconds: Int64) -> Timestamp {
        let (sum, overflow) = moment.milliseconds.addingReportingOverflow(milliseconds)
        return Timestamp(overflow ? (milliseconds < 0 ? .min : .max) : sum)
    }

    /// Milliseconds from `earlier` to `later`.
    public static func - (later: Timestamp, earlier: Timestamp) -> Int64 {
        let (difference, overflow) = later.milliseconds.subtractingReportingOverflow(earlier.milliseconds)
        return overflow ? (later < earlier ? .min : .max) : difference
    }

    public var description: String { String(milliseconds) }
}
