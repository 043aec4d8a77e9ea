import CGRPC

extension gpr_timespec {
    /// The monotonic time `timeout` from now; nil: never.
    static func after(_ timeout: Duration?) -> gpr_timespec {
        guard let timeout else { return gpr_inf_future(GPR_CLOCK_MONOTONIC) }
        return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(timeout.nanoseconds, GPR_TIMESPAN))
    }

    /// Time left, negative when it has passed; nil: there is no end.
    var remaining: Duration? {
        guard tv_sec != Int64.max else { return nil }
        let left = gpr_time_sub(self, gpr_now(clock_type))
        return .seconds(left.tv_sec) + .nanoseconds(Int64(left.tv_nsec))
    }
}

extension Duration {
    /// At most 292 years.
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole milliseconds within what the C core takes, 0 to 2^31 - 1.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        guard seconds < Int64(Int32.max) / 1000 else { return .max }
        return Int32(clamping: max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
