import SiloCore

/// The system's time, with sleeps that end on a thread of the client's own.
final class ClientClock: Clock {
    private let system = SystemClock()
    private let thread: OwnThread

    init(_ thread: OwnThread) {
        self.thread = thread
    }

    var now: Timestamp { system.now }
    var steady: Timestamp { system.steady }
    func sleep(milliseconds: Int64) async throws { try await thread.sleep(milliseconds: milliseconds) }
}
