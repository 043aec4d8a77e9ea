import Dispatch

/// Holds a thread up, so that its work piles up meanwhile.
public final class Hold: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    public init() {}

    /// - Parameter give: gives a piece of work to the thread. On return the thread is held up by it.
    public func up(_ give: (@escaping @Sendable () -> Void) -> Void) async throws {
        let begun = Tally()
        give { [semaphore] in
            begun.add()
            semaphore.wait()
        }
        try await begun.until(1)
    }

    public func release() { semaphore.signal() }
}
