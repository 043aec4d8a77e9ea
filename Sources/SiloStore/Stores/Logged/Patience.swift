import SiloCore
import Synchronization

/// Judges whether what is on its way below gets on: on a full disk SlateDB tries to store a file for ever, and says nothing.
final class Patience: Sendable {
    private let state: Mutex<(steps: Int, since: Timestamp)>
    private let place: LogPlace
    private let steps: @Sendable () -> Int

    /// - Parameter steps: moves with each step of what is waited for.
    init(_ place: LogPlace, _ steps: @escaping @Sendable () -> Int) {
        self.place = place
        self.steps = steps
        state = Mutex((steps(), place.environment.clock.steady))
    }

    /// Nothing has moved for so long that nothing is going to. Where there is space for more, it may only be slow.
    private var isOver: Bool {
        let now = place.environment.clock.steady
        let steps = steps()
        let still = state.withLock { state in
            if state.steps != steps { state = (steps, now) }
            return now - state.since
        }
        return still >= (place.hasSpace() ? place.settings.patienceMilliseconds : place.settings.fullDiskMilliseconds)
    }

    /// Waits for `body`.
    /// - Returns: false when patience was over before it ended. Then it goes on alone.
    func lasts(_ body: @escaping @Sendable () async -> Void) async -> Bool {
        let environment = place.environment
        return await withCheckedContinuation { continuation in
            let answer = Answer(continuation)
            let watch = environment.start { [self] in
                while (try? await environment.clock.sleep(milliseconds: Self.lookMilliseconds)) != nil {
                    if isOver { return answer.give(false) }
                }
            }
            environment.start {
                await body()
                watch.cancel()
                answer.give(true)
            }
        }
    }

    private static let lookMilliseconds: Int64 = 1000
}

/// The first answer counts.
private final class Answer: Sendable {
    private let continuation: Mutex<CheckedContinuation<Bool, Never>?>

    init(_ continuation: CheckedContinuation<Bool, Never>) {
        self.continuation = Mutex(continuation)
    }

    func give(_ answer: Bool) {
        continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }?.resume(returning: answer)
    }
}
