package import SiloCore
package import SiloTesting

/// The clock of one machine, which is ahead of the true time or behind it, and runs too fast or too slow. It obeys `Clock`: within
/// a process it never goes back. The next process may run on another machine.
package final class SkewedClock: Clock {
    private let clock: SimulatedClock
    private let begun: Timestamp
    private let aheadMilliseconds: Int64
    private let rate: Double

    /// - Parameter rate: its seconds in a true one. `SystemClock` makes up for a step by a tenth at most.
    package init(_ clock: SimulatedClock, aheadMilliseconds: Int64, rate: Double) {
        self.clock = clock
        self.aheadMilliseconds = aheadMilliseconds
        self.rate = rate
        begun = clock.now
    }

    package var now: Timestamp { begun + aheadMilliseconds + Int64(Double(clock.now - begun) * rate) }

    package var steady: Timestamp { now }

    /// Sleeps go by the true time.
    package func sleep(milliseconds: Int64) async throws { try await clock.sleep(milliseconds: milliseconds) }
}
