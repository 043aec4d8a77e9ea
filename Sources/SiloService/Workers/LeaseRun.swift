import SiloCore
import SiloEngine
import Synchronization

/// Does what a `LeaseSweep` decides.
final class LeaseRun: Sendable {
    typealias Place = (id: ShardID, shard: Shard)

    /// What the shards gave, each with where it came from.
    struct Found: Sendable {
        let leased: [(place: Place, leased: Leased)]

        var count: Int { leased.reduce(0) { $0 + $1.leased.ids.count } }

        /// As if they had not been leased: nobody was told of them.
        func giveBack() {
            for (place, leased) in leased { place.shard.submit(Release(leased.ids)) { _ in } }
        }
    }

    private struct State {
        var sweep: LeaseSweep
        /// What waits at shards. It holds on to this as this does to it, until it is let go.
        var pending: [PendingLease] = []
        var isLetGo = false
    }
    private let state: Mutex<State>
    private let places: [Place]
    private let lease: Lease
    private let waitMilliseconds: Int64
    private let context: RequestContext
    private let completion: @Sendable (Result<Found, SiloError>) -> Void

    /// - Parameter completion: runs at most once: never when the run is abandoned first.
    init(
        _ places: [Place], _ lease: Lease, waitMilliseconds: Int64, _ context: RequestContext,
        _ completion: @escaping @Sendable (Result<Found, SiloError>) -> Void
    ) {
        self.places = places
        self.lease = lease
        self.waitMilliseconds = waitMilliseconds
        self.context = context
        self.completion = completion
        state = Mutex(State(sweep: LeaseSweep(
            shardCount: places.count, withWork: places.indices.filter { places[$0].shard.hasWork(for: lease.group) },
            taskCountMax: lease.taskCountMax, answerBytesMax: lease.answerBytesMax, waits: waitMilliseconds > 0
        )))
    }

    func begin() { perform(state.withLock { $0.sweep.begin() }) }

    /// The worker is gone: nothing more is leased for it.
    func abandon() { perform(state.withLock { $0.sweep.abandon() }) }

    private func answered(by place: Int, _ result: Result<Leased, SiloError>) {
        perform(state.withLock { $0.sweep.answered(by: place, result) })
    }

    private func perform(_ actions: [LeaseSweep.Action]) {
        for action in actions { perform(action) }
    }

    private func perform(_ action: LeaseSweep.Action) {
        switch action {
        case .notePoll(let place): places[place].shard.notePoll(lease.group)
        case .visit(let place, let taskCountMax, let answerBytesMax, let takesOversized):
            let rest = Lease(
                worker: lease.worker, group: lease.group.text, tenants: lease.tenants, taskCountMax: taskCountMax,
                answerBytesMax: answerBytesMax, takesOversized: takesOversized
            )
            places[place].shard.lease(rest, for: context) { self.answered(by: place, $0) }
        case .waitEverywhere: waitEverywhere()
        case .giveBack(let tasks, let place):
            // Never refused while the shard serves. If it stops serving, the leases begin anew and expire unheard.
            Probe.unwantedTasksGivenBack.reached()
            places[place].shard.submit(Release(tasks)) { _ in }
        case .letGo:
            let pending = state.withLock { state in
                state.isLetGo = true
                defer { state.pending = [] }
                return state.pending
            }
            for lease in pending { lease.abandon() }
        case .answer(let found): completion(.success(Found(leased: found.map { (places[$0.shard], $0.leased) })))
        case .fail(let error): completion(.failure(error))
        }
    }

    private func waitEverywhere() {
        for (place, (_, shard)) in places.enumerated() {
            let pending = shard.lease(lease, for: context, waitMilliseconds: waitMilliseconds) { self.answered(by: place, $0) }
            let isLetGo = state.withLock { state in
                if !state.isLetGo { state.pending.append(pending) }
                return state.isLetGo
            }
            if isLetGo { pending.abandon() }
        }
    }
}
