package import SiloCore
package import SiloEngine
package import SiloTelemetry
import Synchronization

/// Who this server is among others. The address is known once the port is open.
final class NodeIdentity: Sendable {
    let id: String
    private let listening = Mutex("")

    init(id: String) {
        self.id = id
    }

    var address: String {
        get { listening.withLock { $0 } }
        set { listening.withLock { $0 = newValue } }
    }
}

/// A node without its network: its shards, and the methods that they are served through.
package final class NodeCore: Sendable {
    package let methods: MethodTable
    let shards: ShardSet
    let health = Health()
    let identity: NodeIdentity
    /// Reopens shards whose storage failed; ends when all are closed.
    private let watching: Task<Void, Never>

    private init(
        _ shards: ShardSet, _ settings: NodeSettings, location: DataLocation?, surroundings: Surroundings, logger: Logger
    ) {
        self.shards = shards
        let identity = NodeIdentity(id: UUID.random(from: surroundings.random).text)
        self.identity = identity
        let callers = Callers(token: settings.authToken)
        let tenancy = Tenancy(isEnabled: settings.tenancy)
        var methods = MethodTable(in: surroundings)
        JobMethods(shards: shards, tenancy: tenancy).register(on: &methods, for: callers)
        LimitMethods(shards: shards, tenancy: tenancy).register(on: &methods, for: callers)
        WorkerMethods(
            shards: shards, tenancy: tenancy, random: surroundings.random, leaseMilliseconds: settings.engine.leaseMilliseconds,
            isDevelopment: settings.isDevelopment
        ).register(on: &methods, for: callers)
        AdminMethods(
            shards: shards, node: identity, location: location, isDevelopment: settings.isDevelopment,
            logger: logger.part("admin")
        ).register(on: &methods, for: callers)
        health.register(on: &methods)
        self.methods = methods
        watching = surroundings.start {
            await withTaskGroup { group in
                for host in shards.hosts { group.addTask { await host.watch() } }
            }
        }
    }

    /// Opens every shard of `map`. Throws what keeps one from opening.
    /// - Parameters:
    ///   - location: for what operators ask of SlateDB; nil where the shards are not kept there.
    ///   - rateLimiter: is asked instead of the shards' own buckets.
    static func open(
        _ map: ShardMap, in storage: any NodeStorage, _ settings: NodeSettings, location: DataLocation?,
        surroundings: Surroundings, rateLimiter: (any RateLimiter)? = nil, logger: Logger
    ) async throws -> NodeCore {
        let hosts = map.entries.map { entry in
            ShardHost(
                entry, in: storage, settings: settings.engine, surroundings: surroundings, rateLimiter: rateLimiter,
                logger: logger.part("shard")
            )
        }
        do {
            try await withThrowingTaskGroup { group in
                for host in hosts { group.addTask { try await host.open() } }
                try await group.waitForAll()
            }
        } catch {
            for host in hosts { await host.close() }
            throw error
        }
        return NodeCore(ShardSet(hosts), settings, location: location, surroundings: surroundings, logger: logger)
    }

    /// Opens what is in `storage`, whatever that is, for clients that find it at `address`.
    package static func open(
        in storage: any NodeStorage, _ settings: NodeSettings, address: String, surroundings: Surroundings,
        rateLimiter: (any RateLimiter)? = nil, logger: Logger
    ) async throws -> NodeCore {
        let map = try await ShardMap.open(in: storage, count: settings.shardCount, random: surroundings.random)
        let core = try await open(
            map, in: storage, settings, location: nil, surroundings: surroundings, rateLimiter: rateLimiter, logger: logger
        )
        core.identity.address = address
        return core
    }

    /// Some shard was given up, and stays closed until this node is started again.
    package var hasLostShards: Bool {
        shards.hosts.contains { if case .lost = $0.current { true } else { false } }
    }

    /// Tells everybody who asks that no calls are wanted any more.
    package func beginDraining() { health.drain() }

    /// Answers workers that wait for work, so that they ask elsewhere.
    package func dismissWaiters() {
        for host in shards.hosts { host.shard?.dismissWaiters() }
    }

    /// Makes everything durable and closes the shards.
    package func close() async {
        await withTaskGroup { group in
            for host in shards.hosts { group.addTask { await host.close() } }
        }
        await watching.value
    }
}
