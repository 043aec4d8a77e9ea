import SiloCore
import Synchronization

/// Passes errors on to the application's `onError` on a thread where it may block. When it does for long, further errors are dropped.
final class Teller: Sendable {
    private let surroundings: Surroundings
    private let onError: @Sendable (WorkerError) -> Void
    private let waiting = Atomic(0)
    private static let waitingMax = 1000

    init(_ surroundings: Surroundings, _ onError: @escaping @Sendable (WorkerError) -> Void) {
        self.surroundings = surroundings
        self.onError = onError
    }

    func tell(_ error: WorkerError) {
        guard waiting.add(1, ordering: .relaxed).newValue <= Self.waitingMax else {
            waiting.subtract(1, ordering: .relaxed)
            return
        }
        // Ends with the application's function.
        surroundings.start { [self] in
            onError(error)
            waiting.subtract(1, ordering: .relaxed)
        }
    }
}
