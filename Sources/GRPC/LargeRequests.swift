import Glibc
import Synchronization

/// A thread for the handlers of calls with large requests, one after another: reading such a request may take a second, and the
/// queue's own thread has heartbeats to see to.
///
/// What waits here is bounded by the bytes that the server may hold in requests.
// Safety: the semaphore may be used from any thread; it is freed when nobody is left to use it.
final class LargeRequests: @unchecked Sendable {
    /// Of a request, from which on it comes here. A smaller one is read in well under a millisecond.
    static let bytesMin = 32 << 10

    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var isStarted = false
        var isClosed = false
    }
    private let state = Mutex(State())
    private let bell: UnsafeMutablePointer<sem_t>
    private let ended: @Sendable () -> Void

    /// - Parameter ended: called once, when it was closed and does nothing more.
    init(ended: @escaping @Sendable () -> Void) {
        bell = .allocate(capacity: 1)
        sem_init(bell, 0, 0)
        self.ended = ended
    }

    deinit {
        sem_destroy(bell)
        bell.deallocate()
    }

    /// Runs `body` after what came before it; nothing when it was closed: then its call is over. The thread begins with the
    /// first.
    func run(_ body: @escaping @Sendable () -> Void) {
        let isFirst = state.withLock { state in
            guard !state.isClosed else { return false }
            state.waiting.append(body)
            defer { state.isStarted = true }
            return !state.isStarted
        }
        if isFirst { NativeThread.start("grpc-large") { self.work() } }
        sem_post(bell)
    }

    /// Nothing comes any more. What waits is still done.
    func close() {
        let isStarted = state.withLock { state in
            state.isClosed = true
            return state.isStarted
        }
        if isStarted { sem_post(bell) } else { ended() }
    }

    private func work() {
        while true {
            while sem_wait(bell) != 0 {}
            let (bodies, isClosed) = state.withLock { state in
                defer { state.waiting = [] }
                return (state.waiting, state.isClosed)
            }
            for body in bodies { body() }
            if isClosed { return ended() }
        }
    }
}
