import SiloService
import Synchronization

/// How far a node has come, for whoever asks whether it takes calls.
final class NodeStatus: Sendable {
    private enum Phase {
        case starting
        case running(ShardSet)
        case draining
    }
    private let phase = Mutex(Phase.starting)

    func runs(_ shards: ShardSet) { phase.withLock { $0 = .running(shards) } }
    func drains() { phase.withLock { $0 = .draining } }

    /// Why it takes no calls, or not all; nil: it does.
    var reasonNotReady: String? {
        switch phase.withLock({ $0 }) {
        case .starting: return "the shards are opened"
        case .draining: return "the server is shutting down"
        case .running(let shards):
            let hosts = shards.hosts
            let closed = hosts.count { $0.shard == nil }
            return closed == 0 ? nil : "\(closed) of \(hosts.count) shards are not open"
        }
    }
}
