import Dispatch
import Synchronization

/// Where statements read the store: a few threads behind all others when the processors are busy. Swift's shared pool, and the
/// shards on it, never wait for a statement.
final class QueryThreads: TaskExecutor {
    static let shared = QueryThreads()

    /// How many read at once, for all statements.
    private static let count = 4
    private let jobs = Mutex<Deque>(Deque())
    private let ready = DispatchSemaphore(value: 0)

    /// First in, first out.
    private struct Deque: Sendable {
        private var incoming: [UnownedJob] = []
        private var outgoing: [UnownedJob] = []

        mutating func append(_ job: UnownedJob) { incoming.append(job) }

        mutating func popFirst() -> UnownedJob? {
            if outgoing.isEmpty {
                outgoing = incoming.reversed()
                incoming = []
            }
            return outgoing.popLast()
        }
    }

    private init() {
        // With fewer to be had, statements wait longer for each other.
        for _ in 0..<Self.count { _ = StatementThread.start { [self] in work() } }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        ready.signal()
    }

    private func work() {
        while true {
            ready.wait()
            if let job = jobs.withLock({ $0.popFirst() }) { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }
}
