import SiloCore
import Synchronization

/// Tasks that end by themselves and may be told to hurry.
final class TaskBag: Sendable {
    private struct State {
        var tasks: [Int: Task<Void, Never>] = [:]
        var last = 0
        var isCancelled = false
    }
    private let environment: Environment
    private let state = Mutex(State())

    init(_ environment: Environment) {
        self.environment = environment
    }

    func start(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            state.last += 1
            let number = state.last
            // It cannot end before it is kept: that takes the lock.
            let task = environment.start {
                await body()
                self.state.withLock { $0.tasks[number] = nil }
            }
            state.tasks[number] = task
            if state.isCancelled { task.cancel() }
        }
    }

    /// Cancels those that run, and those that are still to come.
    func cancelAll() {
        let tasks = state.withLock { state in
            state.isCancelled = true
            return state.tasks
        }
        for (_, task) in tasks.sorted(by: { $0.key < $1.key }) { task.cancel() }
    }
}
