import Synchronization

/// Where the tasks of one process run on a `SeededExecutor`. While the process is stopped, as by SIGSTOP, none of them goes on.
public final class SimulatedProcess: TaskExecutor {
    private struct State {
        var isStopped = false
        var held: [UnownedJob] = []
    }
    private let state = Mutex(State())
    private let executor: SeededExecutor

    public init(on executor: SeededExecutor) {
        self.executor = executor
    }

    public func enqueue(_ job: consuming ExecutorJob) { executor.enqueue(UnownedJob(job), of: self) }

    public func stop() { state.withLock { $0.isStopped = true } }

    /// What would have run meanwhile runs now.
    public func goOn() {
        let held = state.withLock { state in
            state.isStopped = false
            defer { state.held = [] }
            return state.held
        }
        for job in held { executor.enqueue(job, of: self) }
    }

    /// Keeps a piece of a task when the process is stopped; false when it is not.
    func holds(_ job: UnownedJob) -> Bool {
        state.withLock { state in
            if state.isStopped { state.held.append(job) }
            return state.isStopped
        }
    }
}
