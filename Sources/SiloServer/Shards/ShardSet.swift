import GRPC
import SiloCore
import SiloEngine
import SiloStore
import SlateDB

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
        guard case .serving(let shard, _) = host.current else { throw Self.notReady(host.current) }
        return (host, shard)
    }

    /// The shard that a request names, and a view of its rows, all of them durable. Given also while the clock keeps the shard
    /// from writing.
    func reader(_ text: String) async throws -> (host: ShardHost, reader: any StoreReader, now: Moment) {
        let host = try host(text)
        switch host.current {
        case .serving(let shard, _): return (host, try await shard.snapshot(), shard.moment)
        case .behind(let store):
            do {
                let reader = try await store.snapshot()
                return (host, reader, try await Shard.moment(in: reader, host.clock))
            } catch {
                throw SiloError.unavailable(error.message)
            }
        case let state: throw Self.notReady(state)
        }
    }

    private static func notReady(_ state: ShardHost.State) -> Status {
        let why = switch state {
        case .opening(let why): why
        case .behind(let store): store.clockLag?.description ?? "it is opened now"
        case .closed: "the server is shutting down"
        case .serving: "it was opened just now"
        }
        return Status(.unavailable, "shard not ready: \(why)")
    }

    /// The shard that a request names, whether it serves or not.
    func host(_ text: String) throws(Status) -> ShardHost {
        guard let host = byID[try Self.parse(text)] else { throw Status(.notFound, "shard not found") }
        return host
    }

    /// The shard that an operator names, with its database.
    func open(_ text: String) throws(Status) -> (host: ShardHost, store: any KeyValueStore) {
        if let host = byID[try Self.parse(text)] {
            switch host.current {
            case .serving(_, let store), .behind(let store): return (host, store)
            case .opening, .closed: break
            }
        }
        throw Status(.notFound, "shard \(text) not found on this node")
    }

    private static func parse(_ text: String) throws(Status) -> ShardID {
        guard let id = ShardID(text) else { throw Status(.invalidArgument, "invalid shard ID: \(text)") }
        return id
    }
}
