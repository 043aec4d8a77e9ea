import SiloCore
import Synchronization

extension Environment {
    /// Waits for `body` as long as it gets on.
    /// - Parameters:
    ///   - progress: moves with each step.
    ///   - patience: milliseconds without a step after which it is thought to stand still.
    /// - Returns: whether it ended. If not, it goes on alone.
    func ends(
        gettingOn progress: @escaping @Sendable () -> Int, patience: Int64, _ body: @escaping @Sendable () async -> Void
    ) async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = Answer(continuation)
            let watch = start {
                var seen = progress()
                while (try? await clock.sleep(milliseconds: patience)) != nil {
                    let now = progress()
                    guard now != seen else { return answer.give(false) }
                    seen = now
                }
            }
            start {
                await body()
                watch.cancel()
                answer.give(true)
            }
        }
    }
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
