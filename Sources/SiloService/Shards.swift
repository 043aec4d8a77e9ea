package import SiloCore
package import SiloEngine
package import SiloStore
import SlateDB

/// The shards of a node, as operations see them.
package protocol Shards: Sendable {
    /// In order of their ranges.
    var all: [any HostedShard] { get }

    /// Nil: it is not this node's.
    subscript(id: ShardID) -> (any HostedShard)? { get }

    /// Who has a shard that is not this node's, as far as is known.
    func owner(of id: ShardID) -> ShardOwner?
}

extension Shards {
    package func owner(of id: ShardID) -> ShardOwner? { nil }
}

/// A shard of this node, whether it serves or not.
package protocol HostedShard: AnyObject, Sendable {
    var id: ShardID { get }
    var range: ShardRange { get }
    var current: HostedShardState { get }

    /// The shard as the rows of its store show it, for as long as the clock keeps it from being served.
    func unserved(_ store: any KeyValueStore) async throws(StoreError) -> UnservedShard

    /// Erases every job; id and range stay. When it throws, nothing is served until it has been done: it goes on being tried.
    func reset() async throws
}

package enum HostedShardState: Sendable {
    /// Not open yet, or between a failure and the next try; says why.
    case opening(String)
    /// Open, but this machine's clock is behind the last write: only reads are served.
    case behind(any KeyValueStore)
    case serving(Shard, any KeyValueStore)
    case closed
    /// It was this node's until just now.
    case moved(ShardOwner?)
}

extension HostedShard {
    /// The shard while it serves.
    package var shard: Shard? {
        if case .serving(let shard, _) = current { shard } else { nil }
    }
}

/// Finds the shard that a request names (spec/api.md 2.2).
struct ShardResolver: Sendable {
    private let shards: any Shards
    /// What is read beside other shards.
    let reads: ShardReads

    init(_ shards: any Shards, _ environment: Environment) {
        self.shards = shards
        reads = ShardReads(environment)
    }

    var all: [any HostedShard] { shards.all }

    /// Nil: it is not this node's.
    subscript(id: ShardID) -> (any HostedShard)? { shards[id] }

    /// The shard while it serves.
    func serving(_ text: String) throws(SiloError) -> (host: any HostedShard, shard: Shard) {
        let host = try host(text)
        let state = host.current
        guard case .serving(let shard, _) = state else { throw Self.notReady(state) }
        return (host, shard)
    }

    /// The shard for those who only look. Given also while the clock keeps it from writing.
    func readable(_ text: String) async throws(SiloError) -> (host: any HostedShard, shard: ReadableShard) {
        let host = try host(text)
        switch host.current {
        case .serving(let shard, _): return (host, .serving(shard))
        case .behind(let store):
            do {
                return (host, .behind(try await host.unserved(store), store.clockLag))
            } catch {
                throw SiloError(reading: error)
            }
        case let state: throw Self.notReady(state)
        }
    }

    /// What each of some shards answers, side by side, and which of them do not and why: one that keeps the others waiting too.
    func answers<Answer: Sendable>(
        of hosts: [any HostedShard], for context: RequestContext,
        _ ask: @escaping @Sendable (any HostedShard) async throws(SiloError) -> Answer
    ) async -> (answers: [Answer], missing: [(shard: ShardID, why: SiloError)]) {
        let patience = hosts.count > 1 ? reads.patience(context) : nil
        let outcomes = await withTaskGroup(of: (Int, Result<Answer, SiloError>).self) { group in
            for (index, host) in hosts.enumerated() {
                group.addTask { (index, await outcome(of: host, patience: patience, ask)) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var answers: [Answer] = []
        var missing: [(shard: ShardID, why: SiloError)] = []
        for (index, outcome) in outcomes.sorted(by: { $0.0 < $1.0 }) {
            do throws(SiloError) { answers.append(try outcome.get()) } catch { missing.append((hosts[index].id, error)) }
        }
        return (answers, missing)
    }

    /// - Parameter patience: nil: it is waited for, however long it takes.
    private func outcome<Answer: Sendable>(
        of host: any HostedShard, patience: Int64?, _ ask: @escaping @Sendable (any HostedShard) async throws(SiloError) -> Answer
    ) async -> Result<Answer, SiloError> {
        @Sendable func asked() async -> Result<Answer, SiloError> {
            do throws(SiloError) { return .success(try await ask(host)) } catch { return .failure(error) }
        }
        guard let patience else { return await reads.reading(host.id, asked) }
        guard reads.overdue(among: [host.id]).isEmpty else { return .failure(ShardReads.unanswered) }
        return await reads.outcome(of: [host.id], patience: patience) { [reads] in await reads.reading(host.id, asked) }
            ?? .failure(ShardReads.unanswered)
    }

    /// The shard, whether it serves or not.
    func host(_ text: String) throws(SiloError) -> any HostedShard {
        let id = try Self.parse(text)
        guard let host = shards[id] else { throw .notOwner(hint: shards.owner(of: id)) }
        return host
    }

    /// The shard that an operator names, with its database.
    func open(_ text: String) throws(SiloError) -> (host: any HostedShard, store: any KeyValueStore) {
        if let host = shards[try Self.parse(text)] {
            switch host.current {
            case .serving(_, let store), .behind(let store): return (host, store)
            case .opening, .closed, .moved: break
            }
        }
        throw .shardNotOpen(text)
    }

    private static func notReady(_ state: HostedShardState) -> SiloError {
        switch state {
        case .opening(let why): .shardNotReady(why)
        case .behind(let store): .shardNotReady(store.clockLag?.description ?? "it is opened now")
        case .closed: .shardNotReady("the server is shutting down")
        case .moved(let owner): .notOwner(hint: owner)
        case .serving: .shardNotReady("it was opened just now")
        }
    }

    private static func parse(_ text: String) throws(SiloError) -> ShardID {
        guard let id = ShardID(text) else { throw .invalidArgument("invalid shard ID: \(text)") }
        return id
    }
}
