import SiloCore
import SiloService
import Synchronization

/// The shards of this node. They come and go while it serves; whoever looks sees them as they are at one moment.
///
/// A call that has found its shard goes on: what the shard has taken in is finished, all else gets `.notOwner`.
final class ShardSet: Shards {
    private struct State {
        /// In order of their ranges.
        var hosts: [ShardHost] = []
        var byID: [ShardID: ShardHost] = [:]
        /// The tasks of the hosts, which end when those are closed.
        var running: [ObjectIdentifier: Task<Void, Never>] = [:]
        var isClosed = false

        mutating func set(_ new: [ShardHost]) {
            hosts = new.sorted { ($0.range.start?.value ?? 0) < ($1.range.start?.value ?? 0) }
            byID = Dictionary(hosts.map { ($0.id, $0) }) { first, _ in first }
        }

        mutating func takeTask(of host: ShardHost) -> Task<Void, Never>? { running.removeValue(forKey: ObjectIdentifier(host)) }
    }
    private let state = Mutex(State())
    private let environment: Environment
    private let onRemoved: @Sendable (ShardID) -> Void

    /// - Parameter onRemoved: is told of a shard that is served here no more, when it is closed.
    init(_ hosts: [ShardHost], in environment: Environment, onRemoved: @escaping @Sendable (ShardID) -> Void = { _ in }) {
        self.environment = environment
        self.onRemoved = onRemoved
        state.withLock { $0.set(hosts) }
        for host in hosts { start(host) }
    }

    // MARK: Looking

    var hosts: [ShardHost] { state.withLock { $0.hosts } }
    var all: [any HostedShard] { hosts }
    subscript(id: ShardID) -> (any HostedShard)? { state.withLock { $0.byID[id] } }

    // MARK: Changing

    func add(_ host: ShardHost) async { await replace([], with: [host]) }

    /// Serves a shard no more. Returns when all that it took in is durable and it is closed.
    /// - Parameter owner: who has it from now on, as far as is known.
    func remove(_ id: ShardID, movedTo owner: ShardOwner? = nil) async { await replace([id], with: [], movedTo: owner) }

    /// Puts some shards in the place of others, in one step for whoever looks. The new ones are opened when the old ones are
    /// closed.
    func replace(_ ids: [ShardID], with new: [ShardHost], movedTo owner: ShardOwner? = nil) async {
        let old = state.withLock { state in
            guard !state.isClosed else { return [(host: ShardHost, task: Task<Void, Never>?)]() }
            let old = ids.compactMap { state.byID[$0] }
            state.set(state.hosts.filter { !ids.contains($0.id) } + new)
            return old.map { ($0, state.takeTask(of: $0)) }
        }
        await Self.close(old, .moved(owner))
        for (host, _) in old where self[host.id] == nil { onRemoved(host.id) }
        for host in new { start(host) }
    }

    /// Makes everything durable and closes every shard, for good.
    func close() async {
        let all = state.withLock { state in
            state.isClosed = true
            return state.hosts.map { (host: $0, task: state.takeTask(of: $0)) }
        }
        await Self.close(all, .shutdown)
    }

    private func start(_ host: ShardHost) {
        state.withLock { state in
            guard !state.isClosed, state.byID[host.id] === host else { return }
            state.running[ObjectIdentifier(host)] = environment.start { await host.run() }
        }
    }

    private static func close(_ hosts: [(host: ShardHost, task: Task<Void, Never>?)], _ ending: ShardEnding) async {
        await withTaskGroup { group in
            for (host, task) in hosts {
                group.addTask {
                    await host.close(ending)
                    await task?.value
                }
            }
        }
    }
}
