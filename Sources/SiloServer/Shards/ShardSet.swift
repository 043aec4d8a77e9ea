import SiloCore
import SiloService

/// The shards of this node, by id.
struct ShardSet: Shards {
    /// In order of their ranges.
    let hosts: [ShardHost]
    private let byID: [ShardID: ShardHost]

    init(_ hosts: [ShardHost]) {
        self.hosts = hosts
        byID = Dictionary(hosts.map { ($0.id, $0) }) { first, _ in first }
    }

    var all: [any HostedShard] { hosts }

    subscript(id: ShardID) -> (any HostedShard)? { byID[id] }
}
