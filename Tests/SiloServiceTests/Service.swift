import SiloAPI
import SiloCore
import SiloEngine
import SiloStore
import SiloTelemetry
import SiloTesting
import Synchronization
import TestSupport

@testable import SiloService

/// The operations of a node over shards in memory, called as any transport would.
final class Service: Sendable {
    let operations: Operations
    let hosts: [MemoryHost]
    let context = RequestContext(caller: .anonymous)
    private let elsewhere: [ShardID: ShardOwner]

    /// - Parameters:
    ///   - count: of shards, each of an equal part of the tenants.
    ///   - elsewhere: shards that other nodes have.
    ///   - clock: of the operations; shards have their own.
    ///   - changes: raised when a call of a shard's store is held.
    init(
        shards count: Int = 1, tenancy: Bool = false, isDevelopment: Bool = false, elsewhere: [ShardID: ShardOwner] = [:],
        profiler: (any Profiler)? = nil, clock: any Clock = SystemClock(), changes: Signal = Signal()
    ) async throws {
        self.elsewhere = elsewhere
        let random = SeededRandom(seed: 1)
        var hosts: [MemoryHost] = []
        let bounds = (1..<count).map { TenantHash(UInt64.max / UInt64(count) * UInt64($0)) }
        for (start, end) in zip([nil] + bounds, bounds + [nil]) {
            hosts.append(try await MemoryHost(ShardID(UUID.random(from: random)), ShardRange(start: start, end: end), changes))
        }
        self.hosts = hosts
        var queries = QuerySettings()
        // Their threads wait for everybody else's: on a busy machine that is long.
        queries.statementTimeoutMilliseconds = 0
        operations = Operations(
            shards: MemoryShards(hosts: hosts, elsewhere: elsewhere), node: NodeIdentity(id: "node"), storage: nil,
            tenancy: Tenancy(isEnabled: tenancy), leaseMilliseconds: 10_000, isDevelopment: isDevelopment,
            environment: Environment(clock: clock, random: random), profiler: profiler, queries: queries,
            logger: Logger("test", write: { _ in })
        )
    }

    /// The first shard, as requests name it.
    var shard: String { hosts[0].id.description }

    func close() async throws {
        for host in hosts { try await host.close() }
    }

    /// A shard's host in the order of the hosts; nil: the tenant is in none.
    func shard(of tenant: String) -> String? {
        hosts.first { $0.range.contains(Tenant(tenant).hash) }?.id.description
    }
}

private struct MemoryShards: Shards {
    let hosts: [MemoryHost]
    let elsewhere: [ShardID: ShardOwner]

    var all: [any HostedShard] { hosts }
    subscript(id: ShardID) -> (any HostedShard)? { hosts.first { $0.id == id } }
    func owner(of id: ShardID) -> ShardOwner? { elsewhere[id] }
}

/// A shard over a store in memory, in the state that the test says.
final class MemoryHost: HostedShard {
    let id: ShardID
    let range: ShardRange
    private let clock: any Clock
    let store: FaultyStore
    private let shard: Shard
    private let state: Mutex<HostedShardState>

    init(_ id: ShardID, _ range: ShardRange, _ changes: Signal) async throws {
        self.id = id
        self.range = range
        let clock = ManualClock()
        self.clock = clock
        store = FaultyStore(MemoryStore(clock: clock), changes: changes)
        shard = try await Shard.open(store, clock: clock, random: SeededRandom(seed: 2))
        state = Mutex(.serving(shard, store))
    }

    var current: HostedShardState { state.withLock { $0 } }
    func become(_ new: HostedShardState) { state.withLock { $0 = new } }
    func reset() async throws {}
    func unserved(_ store: any KeyValueStore) async throws(StoreError) -> UnservedShard {
        try await UnservedShard(try await store.snapshot(), clock: clock)
    }
    func close() async throws { try await shard.close() }
}

extension SiloV1.EnqueueRequest {
    static func job(_ id: String, in shard: String, tenant: String? = nil, group: String = "g", priority: UInt32 = 0) -> Self {
        var request = Self()
        request.id = id
        request.shard = shard
        request.tenant = tenant
        request.taskGroup = group
        request.priority = priority
        return request
    }
}
