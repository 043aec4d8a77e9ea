package import SiloCore
package import SiloTesting
import Synchronization

/// The clocks of one machine. They run too fast or too slow; its wall clock is ahead of the true time or behind it, and is set
/// now and then. The next process may run on another machine.
package final class SkewedClock: Clock {
    private let clock: SimulatedClock
    private let started: Timestamp
    private let begun: Timestamp
    private let rate: Double
    /// Milliseconds that the wall clock is ahead of the steady one.
    private let ahead = Mutex<Int64>(0)
    private let absent = Mutex(0)

    /// - Parameters:
    ///   - aheadMilliseconds: of the true time, when it begins.
    ///   - rate: its seconds in a true one.
    package init(_ clock: SimulatedClock, aheadMilliseconds: Int64, rate: Double) {
        self.clock = clock
        self.rate = rate
        begun = clock.now + aheadMilliseconds
        started = clock.now
    }

    package var now: Timestamp { steady + ahead.withLock { $0 } }

    package var steady: Timestamp { begun + Int64(Double(clock.now - started) * rate) }

    package var absences: Int { absent.withLock { $0 } }

    /// The process that goes by this clock was not there for a second or more.
    package func noteAbsence() { absent.withLock { $0 += 1 } }

    /// Sets the wall clock, to show the true time and some milliseconds more, or less.
    package func set(aheadMilliseconds: Int64) {
        let steady = steady
        ahead.withLock { $0 = clock.now + aheadMilliseconds - steady }
    }

    /// Sleeps go by the true time.
    package func sleep(milliseconds: Int64) async throws { try await clock.sleep(milliseconds: milliseconds) }
}
