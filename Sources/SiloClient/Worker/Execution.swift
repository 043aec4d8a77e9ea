import SiloAPI
import SiloCore
import Synchronization

/// What a worker has leased: an attempt of a job, or a refresh of a floating limit.
struct Lease: Sendable {
    enum Subject: Sendable { case job(String), limit(key: String) }
    let taskID: String
    let shard: String
    let tenant: String?
    let subject: Subject

    init(_ task: SiloV1.Task) {
        taskID = task.id
        shard = task.shard
        tenant = task.tenantId
        subject = .job(task.jobId)
    }

    init(_ refresh: SiloV1.RefreshFloatingLimitTask) {
        taskID = refresh.id
        shard = refresh.shard
        tenant = refresh.tenantId
        subject = .limit(key: refresh.queueKey)
    }

    var jobID: String? { if case .job(let id) = subject { id } else { nil } }
    var limitKey: String? { if case .limit(let key) = subject { key } else { nil } }
}

/// The state of one leased task in a worker.
final class Execution: Sendable {
    enum Ending { case cancelled, leaseLost }
    private struct State {
        var ending: Ending?
        var isSettled = false
        var cancelHandler: (@Sendable () -> Void)?
        /// When the lease was last renewed, or asked to be.
        var renewed: Timestamp
        var isRenewing = false
    }
    private let state: Mutex<State>
    let lease: Lease

    init(_ lease: Lease, leasedAt now: Timestamp) {
        self.lease = lease
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

    /// What the handler made of the task; it is cancelled when the execution is ended.
    func value<Value: Sendable>(of handler: Task<Value, Never>) async -> Value {
        let isEnding = state.withLock { state in
            state.cancelHandler = { handler.cancel() }
            return state.ending != nil
        }
        if isEnding { handler.cancel() }
        return await handler.value
    }

    /// Tells the handler to stop. False when it was told before, or is done.
    @discardableResult
    func end(_ ending: Ending) -> Bool {
        let (isFirst, cancel): (Bool, (@Sendable () -> Void)?) = state.withLock { state in
            guard state.ending == nil, !state.isSettled else { return (false, nil) }
            state.ending = ending
            return (true, state.cancelHandler)
        }
        cancel?()
        return isFirst
    }
}
