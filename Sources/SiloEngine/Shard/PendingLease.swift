import SiloCore
import SiloStore
import Synchronization

/// A worker's request for tasks, which may wait for work.
// Safety: the loop alone touches `result` until it hands the object to the committer; the rest is behind the lock.
public final class PendingLease: PendingWork, @unchecked Sendable {
    /// Where it stands. What has found nothing waits; from there it is served, once, or let go.
    private enum Stage { case asked, waiting, served, gone }
    private struct State {
        var stage = Stage.asked
        var isAbandoned = false
        var hasSlot = true
        var answerBytes = 0
        var completion: (@Sendable (Result<Leased, SiloError>) -> Void)?
    }
    private let state: Mutex<State>
    private var result: Result<Leased, SiloError> = .success(Leased())
    var arrivedAt = Timestamp(0)
    private let abandoned: @Sendable (PendingLease, _ wasWaiting: Bool) -> Void
    let lease: Lease
    let context: RequestContext
    /// Until when it waits for a first task, in steady time; nil: it does not.
    let deadline: Timestamp?

    /// - Parameter abandoned: nobody waits for it any more; says whether it stood among those that wait for work.
    init(
        _ lease: Lease, _ context: RequestContext, deadline: Timestamp?,
        abandoned: @escaping @Sendable (PendingLease, _ wasWaiting: Bool) -> Void,
        _ completion: @escaping @Sendable (Result<Leased, SiloError>) -> Void
    ) {
        self.lease = lease
        self.context = context
        self.deadline = deadline
        self.abandoned = abandoned
        state = Mutex(State(completion: completion))
    }

    var lane: Lane { .ordinary }
    var goesBehindWaiters: Bool { true }
    var weight: Weight {
        Weight(jobs: 1, bytes: Weight.commandBytes + lease.contentBytes + state.withLock { $0.answerBytes })
    }

    /// What it was given counts as in hand until it is answered, unless it does not count itself any more.
    /// - Returns: bytes.
    func grow() -> Int {
        guard case .success(let leased) = result else { return 0 }
        let bytes = leased.tasks.reduce(0) { $0 + $1.answerBytes }
        return state.withLock { state in
            guard state.hasSlot else { return 0 }
            state.answerBytes = bytes
            return bytes
        }
    }

    /// The caller is gone: nothing is leased for it from now on. What is on its way still reaches the completion; one that waits
    /// lets go at once of all that it holds.
    public func abandon() {
        // Freed outside the lock.
        var completion: (@Sendable (Result<Leased, SiloError>) -> Void)?
        let (isFirst, wasWaiting) = state.withLock { state in
            guard !state.isAbandoned else { return (false, false) }
            state.isAbandoned = true
            guard state.stage == .waiting else { return (true, false) }
            state.stage = .gone
            swap(&completion, &state.completion)
            return (true, true)
        }
        if isFirst { abandoned(self, wasWaiting) }
    }

    func takeSlot() -> Bool {
        state.withLock { state in
            defer { state.hasSlot = false }
            return state.hasSlot
        }
    }

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// It ran and found nothing, and the worker is willing to wait.
    func waits(at steady: Timestamp) -> Bool {
        guard let deadline, deadline > steady, lease.taskCountMax > 0, lease.tenants?.isEmpty != true, !isAbandoned else {
            return false
        }
        return (try? result.get().isEmpty) ?? false
    }

    func settle(among waiters: inout Waiters, at steady: Timestamp) -> [any PendingWork] {
        guard let deadline, waits(at: steady), beginWaiting() else { return [self] }
        waiters.append(self, until: deadline)
        return []
    }

    /// It stands among those that wait. False when its caller has gone meanwhile.
    func beginWaiting() -> Bool {
        state.withLock { state in
            guard !state.isAbandoned else { return false }
            state.stage = .waiting
            return true
        }
    }

    /// It is taken out from among those that wait. True when its caller went before.
    func endWaiting() -> Bool {
        state.withLock { state in
            guard state.stage != .gone else { return true }
            state.stage = .served
            return false
        }
    }

    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool {
        let isWanted = state.withLock { state in
            guard !state.isAbandoned else { return false }
            state.stage = .served
            return true
        }
        room.take(weight)
        guard isWanted else { return true }
        let leased = try await transaction.perform(lease)
        room.take(leased.weight)
        // One that may wait does, until the store answers.
        let isInVain = leased.isEmpty && deadline.map { $0 <= transaction.steady } ?? true
        result = if isInVain, let obstacle = leased.obstacle { .failure(SiloError(stopped: obstacle)) } else { .success(leased) }
        return true
    }

    func answer() { complete(result) }
    func fail(_ error: SiloError) { complete(.failure(error)) }

    private func complete(_ result: Result<Leased, SiloError>) {
        let completion = state.withLock { state in
            defer { state.completion = nil }
            return state.completion
        }
        completion?(result)
    }
}

extension Leased {
    fileprivate var weight: Weight {
        Weight(jobs: tasks.count, bytes: tasks.reduce(0) { $0 + Weight.commandBytes + Weight.copies * $1.job.answerBytes })
    }
}
