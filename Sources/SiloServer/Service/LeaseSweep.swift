import SiloCore
import SiloEngine
import SiloStore
import Synchronization

/// One worker's request for tasks over several shards.
///
/// It visits the shards that have work for the group, one after another until it has enough. When none has and the worker waits,
/// it waits at all of them, and the first to have some answers. Tasks that come when nobody takes them any more are given back.
final class LeaseSweep: Sendable {
    /// What the shards gave, each with where it came from.
    struct Found: Sendable {
        var tasks: [(shard: ShardID, from: Shard, task: LeasedTask)] = []
        var refreshes: [(shard: ShardID, from: Shard, refresh: LeasedRefresh)] = []

        var isEmpty: Bool { tasks.isEmpty && refreshes.isEmpty }

        mutating func add(_ leased: Leased, from shard: Shard, _ id: ShardID) {
            tasks += leased.tasks.map { (id, shard, $0) }
            refreshes += leased.refreshes.map { (id, shard, $0) }
        }

        /// As if they had not been leased: nobody was told of them.
        func giveBack() {
            let ids = tasks.map { ($0.from, $0.task.id) } + refreshes.map { ($0.from, $0.refresh.id) }
            var shards: [(shard: Shard, ids: [TaskID])] = []
            for (shard, id) in ids {
                if let place = shards.firstIndex(where: { $0.shard === shard }) {
                    shards[place].ids.append(id)
                } else {
                    shards.append((shard, [id]))
                }
            }
            for (shard, ids) in shards { shard.submit(Release(ids)) { _ in } }
        }

        fileprivate var answerBytes: Int {
            tasks.reduce(refreshes.reduce(0) { $0 + $1.refresh.answerBytes }) { $0 + $1.task.answerBytes }
        }
    }

    private struct State {
        var found = Found()
        var failure: SiloError?
        /// Shards that answered without failing.
        var healthy = 0
        var pending: [PendingLease] = []
        var unanswered = 0
        var isOver = false

        /// What still waits at shards, which holds on to the sweep as the sweep does to it, is let go.
        mutating func end() -> [PendingLease] {
            isOver = true
            defer { pending = [] }
            return pending
        }
    }
    private let state = Mutex(State())
    private let shards: [(host: ShardHost, shard: Shard)]
    /// Those of them that have work.
    private let withWork: [(host: ShardHost, shard: Shard)]
    private let lease: Lease
    private let waitMilliseconds: Int64
    private let completion: @Sendable (Result<Found, SiloError>) -> Void

    init(
        _ shards: [(ShardHost, Shard)], _ lease: Lease, waitMilliseconds: Int64,
        _ completion: @escaping @Sendable (Result<Found, SiloError>) -> Void
    ) {
        self.shards = shards
        withWork = shards.filter { $0.1.hasWork(for: lease.group) }
        self.lease = lease
        self.waitMilliseconds = waitMilliseconds
        self.completion = completion
    }

    func begin() {
        // Where there is but one shard, looking and waiting are one request.
        guard shards.count > 1 else { return waitEverywhere() }
        if waitMilliseconds == 0 {
            for (_, shard) in shards where !shard.hasWork(for: lease.group) { shard.notePoll(lease.group) }
        }
        state.withLock { $0.healthy = shards.count - withWork.count }
        visit(0)
    }

    /// The worker is gone: nothing more is leased for it.
    func abandon() {
        let (pending, found) = state.withLock { state in
            defer { state.found = Found() }
            return (state.isOver ? [] : state.end(), state.found)
        }
        for lease in pending { lease.abandon() }
        found.giveBack()
    }

    private func visit(_ index: Int) {
        let rest = state.withLock { state in
            Lease(
                worker: lease.worker, group: lease.group.text,
                taskCountMax: state.isOver ? 0 : lease.taskCountMax - state.found.tasks.count,
                answerBytesMax: lease.answerBytesMax - state.found.answerBytes, takesOversized: state.found.isEmpty
            )
        }
        guard index < withWork.count, rest.taskCountMax > 0, rest.answerBytesMax > 0 else {
            let isEmpty = state.withLock { $0.found.isEmpty && $0.healthy > 0 && !$0.isOver }
            if isEmpty, waitMilliseconds > 0 { waitEverywhere() } else { finish() }
            return
        }
        let (host, shard) = withWork[index]
        shard.lease(rest) { result in
            self.take(result, from: host, shard) { _ in true }
            self.visit(index + 1)
        }
    }

    private func waitEverywhere() {
        state.withLock { $0.unanswered = shards.count }
        for (host, shard) in shards {
            let pending = shard.lease(lease, waitMilliseconds: waitMilliseconds) { result in
                self.take(result, from: host, shard) { $0.isEmpty }
                let isDecided = self.state.withLock { state in
                    state.unanswered -= 1
                    return state.unanswered == 0 || !state.found.isEmpty
                }
                if isDecided { self.finish() }
            }
            let isOver = state.withLock { state in
                if !state.isOver { state.pending.append(pending) }
                return state.isOver
            }
            if isOver { pending.abandon() }
        }
    }

    /// - Parameter isWanted: whether the tasks are wanted besides those found so far.
    private func take(
        _ result: Result<Leased, SiloError>, from host: ShardHost, _ shard: Shard, isWanted: (Found) -> Bool
    ) {
        let unwanted: Leased = state.withLock { state in
            switch result {
            case .failure(let error):
                state.failure = error
                return Leased()
            case .success(let leased):
                state.healthy += 1
                guard !state.isOver, isWanted(state.found) else { return leased }
                state.found.add(leased, from: shard, host.id)
                return Leased()
            }
        }
        // Never refused while the shard serves. If it stops serving, the leases begin anew and expire unheard.
        if !unwanted.isEmpty {
            Probe.unwantedTasksGivenBack.reached()
            shard.submit(Release(unwanted.ids)) { _ in }
        }
    }

    /// Answers, once. A shard that failed does not spoil what others gave.
    private func finish() {
        let (result, pending): (Result<Found, SiloError>?, [PendingLease]) = state.withLock { state in
            guard !state.isOver else { return (nil, []) }
            let pending = state.end()
            if let failure = state.failure, state.healthy == 0 { return (.failure(failure), pending) }
            defer { state.found = Found() }
            return (.success(state.found), pending)
        }
        guard let result else { return }
        for lease in pending { lease.abandon() }
        completion(result)
    }
}
