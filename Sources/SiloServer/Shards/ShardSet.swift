import GRPC
import SiloCore
import SiloEngine
import SiloStore

/// The shards of this node, by id.
struct ShardSet: Sendable {
    /// In order of their ranges.
    let hosts: [ShardHost]
    private let byID: [ShardID: ShardHost]

    init(_ hosts: [ShardHost]) {
        self.hosts = hosts
        byID = Dictionary(hosts.map { ($0.id, $0) }) { first, _ in first }
    }

    /// The shard that a request names, while it serves (spec/api.md 2.2).
    func resolve(_ text: String) throws(Status) -> (host: ShardHost, shard: Shard) {
        let host = try host(text)
        switch host.current {
        case .serving(let shard, _): return (host, shard)
        case .opening(let why): throw Status(.unavailable, "shard not ready: \(why)")
        case .lost(let why): throw Status(.unavailable, "shard not ready: \(why)")
        case .closed: throw Status(.unavailable, "shard not ready: the server is shutting down")
        }
    }

    /// The shard that a request names, whether it serves or not.
    func host(_ text: String) throws(Status) -> ShardHost {
        guard let host = byID[try Self.parse(text)] else { throw Status(.notFound, "shard not found") }
        return host
    }

    /// The shard that an operator names, with its database.
    func open(_ text: String) throws(Status) -> (host: ShardHost, store: any KeyValueStore) {
        guard let host = byID[try Self.parse(text)], case .serving(_, let store) = host.current else {
            throw Status(.notFound, "shard \(text) not found on this node")
        }
        return (host, store)
    }

    private static func parse(_ text: String) throws(Status) -> ShardID {
        guard let id = ShardID(text) else { throw Status(.invalidArgument, "invalid shard ID: \(text)") }
        return id
    }
}
