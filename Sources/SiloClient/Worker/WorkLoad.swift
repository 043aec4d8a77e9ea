import SiloCore

/// What a worker has in hand: jobs and refreshes of limits alike.
final class WorkLoad: Sendable {
    /// From the arrival of a task until its handler is done.
    private let handlers = Slots(.max)
    /// From its arrival until its outcome is taken, or given up.
    private let tasks = Slots(.max)
    /// The sending of outcomes.
    let outcomes: TaskBag

    init(_ environment: Environment) {
        outcomes = TaskBag(environment)
    }

    func begin() {
        handlers.take()
        tasks.take()
    }

    func handlerEnded() { handlers.free() }
    func end() { tasks.free() }

    /// Returns when no handler runs or waits.
    func handlersDrained() async { await handlers.drained() }
    /// Returns when nothing is in hand.
    func drained() async { await tasks.drained() }
}
