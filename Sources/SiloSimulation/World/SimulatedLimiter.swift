import SiloCore
package import SiloEngine
package import SiloTesting
import Synchronization

/// An external rate limiter on the simulated clock: fixed windows, late answers, and times when it answers nothing or fails.
package final class SimulatedLimiter: RateLimiter {
    private struct State {
        var windows: [String: (ends: Timestamp, used: Int64)] = [:]
        var failures = 0.0
        var silences = 0.0
    }
    private let state = Mutex(State())
    private let clock: SimulatedClock
    private let random: SeededRandom

    package init(seed: UInt64, clock: SimulatedClock) {
        random = SeededRandom(seed: seed)
        self.clock = clock
    }

    /// Probabilities, from 0 to 1.
    package func set(failures: Double, silences: Double) {
        state.withLock {
            $0.failures = failures
            $0.silences = silences
        }
    }

    package func check(_ check: RateCheck, completion: @escaping @Sendable (RateAnswer) -> Void) {
        let (failures, silences) = state.withLock { ($0.failures, $0.silences) }
        guard !random.happens(silences) else { return }
        let fails = random.happens(failures)
        clock.after(microseconds: random.number(in: 200...20_000)) { [self] in
            completion(fails ? .failed("injected fault") : answer(check))
        }
    }

    private func answer(_ check: RateCheck) -> RateAnswer {
        let now = clock.now
        return state.withLock { state in
            let key = "\(check.name)/\(check.uniqueKey)"
            var window = state.windows[key] ?? (now, 0)
            if window.ends <= now { window = (now + check.durationMilliseconds, 0) }
            let fits = window.used + check.hits <= check.limit
            if fits { window.used += check.hits }
            state.windows[key] = window
            return fits ? .under : .over(resetAt: window.ends)
        }
    }
}
