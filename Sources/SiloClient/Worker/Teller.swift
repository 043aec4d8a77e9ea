import SiloCore

/// Passes errors on to the application's `onError` on a thread where it may block. When it does for long, further errors are dropped.
final class Teller: Sendable {
    private let environment: Environment
    private let onError: @Sendable (WorkerError) -> Void
    /// Errors that the application has not heard to the end.
    private let waiting = Slots(.max)
    private static let waitingMax = 1000

    /// - Parameter environment: where the application's function runs.
    init(_ environment: Environment, _ onError: @escaping @Sendable (WorkerError) -> Void) {
        self.environment = environment
        self.onError = onError
    }

    func tell(_ error: WorkerError) {
        guard waiting.takenCount < Self.waitingMax else { return }
        waiting.take()
        // Ends with the application's function.
        environment.start { [self] in
            onError(error)
            waiting.free()
        }
    }

    /// Returns when the application has heard everything, or when it takes longer than that.
    /// - Parameter waiter: where to wait, for the application may block where it is told.
    func drained(within limit: Duration, in waiter: Environment) async {
        let limit = waiter.start { try? await waiter.clock.sleep(milliseconds: limit.milliseconds) }
        waiter.start { [waiting] in
            await waiting.drained()
            limit.cancel()
        }
        await limit.value
    }
}
