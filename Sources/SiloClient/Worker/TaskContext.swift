import SiloAPI
import SiloCore
import Synchronization

/// A task as a handler gets it. When its job is cancelled or its lease is lost, the Swift task that runs the handler is
/// cancelled, and `isCancelled` says so.
public struct TaskContext: Sendable {
    public let taskID: String
    public let jobID: String
    public let tenant: String?
    public let group: String
    /// From 1, growing through the job's life.
    public let attempt: UInt32
    /// The same since the job was last restarted.
    public let relativeAttempt: UInt32
    /// A failure of this attempt is not retried.
    public let isLastAttempt: Bool
    public let priority: UInt32
    public let metadata: [String: String]
    public let payload: Payload
    let execution: Execution

    init(_ task: SiloV1.Task, _ execution: Execution) {
        taskID = task.id
        jobID = task.jobId
        tenant = task.tenantId
        group = task.taskGroup
        attempt = task.attemptNumber
        relativeAttempt = task.relativeAttemptNumber
        isLastAttempt = task.isLastAttempt
        priority = task.priority
        metadata = task.metadata
        payload = Payload(task.payload)
        self.execution = execution
    }

    /// Stop: the job was cancelled, or another worker may have the task.
    public var isCancelled: Bool { execution.ending != nil }
}

/// What a handler makes of its task.
public enum TaskOutcome: Sendable {
    case succeeded(Payload)
    /// Retried as the job's policy says.
    case failed(code: String, data: Payload = .empty)
    /// Ends the job as cancelled.
    case cancelled

    /// A success with a value.
    public static func success(_ value: some Encodable) throws -> TaskOutcome { .succeeded(try Payload(value)) }
}

/// The state of one task in a worker.
final class Execution: Sendable {
    enum Ending { case cancelled, leaseLost }
    private struct State {
        var ending: Ending?
        var isSettled = false
        var handler: Task<TaskOutcome, Never>?
        /// When the lease was last renewed, or asked to be.
        var renewed: Timestamp
        var isRenewing = false
    }
    private let state: Mutex<State>
    let task: SiloV1.Task

    init(_ task: SiloV1.Task, leasedAt now: Timestamp) {
        self.task = task
        state = Mutex(State(renewed: now))
    }

    var ending: Ending? { state.withLock { $0.ending } }

    /// The handler is done: heartbeats mean nothing any more.
    func settle() { state.withLock { $0.isSettled = true } }
    var isSettled: Bool { state.withLock { $0.isSettled } }

    /// Whether the lease is to be renewed now; it counts as renewed then.
    func takeBeat(every interval: Duration, at now: Timestamp) -> Bool {
        state.withLock { state in
            guard !state.isSettled, !state.isRenewing, state.ending == nil, now - state.renewed >= interval.milliseconds else {
                return false
            }
            state.renewed = now
            state.isRenewing = true
            return true
        }
    }

    func beatEnded() { state.withLock { $0.isRenewing = false } }

    func run(_ handler: Task<TaskOutcome, Never>) {
        let isEnding = state.withLock { state in
            state.handler = handler
            return state.ending != nil
        }
        if isEnding { handler.cancel() }
    }

    /// Tells the handler to stop. False when it was told before, or is done.
    @discardableResult
    func end(_ ending: Ending) -> Bool {
        let (isFirst, handler): (Bool, Task<TaskOutcome, Never>?) = state.withLock { state in
            guard state.ending == nil, !state.isSettled else { return (false, nil) }
            state.ending = ending
            return (true, state.handler)
        }
        handler?.cancel()
        return isFirst
    }
}
