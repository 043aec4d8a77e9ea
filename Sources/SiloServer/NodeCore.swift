package import SiloCore
package import SiloEngine
package import SiloTelemetry
import SiloService
import SlateDB

/// A node without its network: its shards, and the methods that they are served through.
package final class NodeCore: Sendable {
    package let methods: MethodTable
    let shards: ShardSet
    let health: Health
    let identity: NodeIdentity
    private let environment: Environment
    private let logger: Logger

    private init(
        _ shards: ShardSet, _ health: Health, _ settings: NodeSettings, location: DataLocation?, environment: Environment,
        logger: Logger
    ) {
        self.shards = shards
        self.health = health
        self.environment = environment
        self.logger = logger
        let identity = NodeIdentity(id: UUID.random(from: environment.random).text)
        self.identity = identity
        let operations = Operations(
            shards: shards, node: identity, storage: location, tenancy: Tenancy(isEnabled: settings.tenancy),
            leaseMilliseconds: settings.engine.leaseMilliseconds, isDevelopment: settings.isDevelopment,
            random: environment.random, logger: logger.part(.admin)
        )
        var methods = MethodTable(in: environment)
        methods.serve(operations, for: Callers(token: settings.authToken))
        health.register(on: &methods)
        self.methods = methods
    }

    /// Opens the shards of `map`. Returns when each was tried; one that does not open goes on being tried, and the others serve.
    /// - Parameters:
    ///   - location: for what operators ask of SlateDB; nil where the shards are not kept there.
    ///   - rateLimiter: is asked instead of the shards' own buckets.
    ///   - events: whoever is told what a shard does.
    static func open(
        _ map: ShardMap, in storage: any NodeStorage, _ settings: NodeSettings, location: DataLocation?,
        environment: Environment, rateLimiter: (any RateLimiter)? = nil, logger: Logger,
        events: @Sendable (ShardID) -> any EngineEvents = { _ in NoEvents() }
    ) async -> NodeCore {
        let budgets = MemoryBudgets(settings.engine)
        let health = Health(map.entries.map(\.id))
        let hosts = map.entries.map { entry in
            ShardHost(
                entry, in: storage, settings: settings.engine, environment: environment, rateLimiter: rateLimiter,
                budgets: budgets, logger: logger.part(.shard), events: events(entry.id),
                onChange: { health.update(entry.id, serves: $0) }
            )
        }
        let shards = ShardSet(hosts, in: environment) { health.forget($0) }
        let core = NodeCore(shards, health, settings, location: location, environment: environment, logger: logger)
        let waiting = Waiting("shards to open", logger, in: environment) {
            shards.hosts.filter { !$0.wasTried }.map(\.id.description)
        } trouble: {
            StorageLog.trouble
        }
        for host in shards.hosts { await host.untilTried() }
        waiting.end()
        return core
    }

    /// Opens what is in `storage`, whatever that is, for clients that find it at `address`.
    package static func open(
        in storage: any NodeStorage, _ settings: NodeSettings, address: String, environment: Environment,
        rateLimiter: (any RateLimiter)? = nil, logger: Logger,
        events: @Sendable (ShardID) -> any EngineEvents = { _ in NoEvents() }
    ) async throws -> NodeCore {
        let map = try await ShardMap.open(in: storage, settings, random: environment.random)
        let core = await open(
            map, in: storage, settings, location: nil, environment: environment, rateLimiter: rateLimiter, logger: logger,
            events: events
        )
        core.identity.address = address
        return core
    }

    /// Tells everybody who asks that no calls are wanted any more.
    package func beginDraining() { health.drain() }

    /// Answers workers that wait for work, so that they ask elsewhere.
    package func dismissWaiters() {
        for host in shards.hosts { host.shard?.dismissWaiters() }
    }

    /// Makes everything durable and closes the shards. What does not close in time is left: the process is about to end, and what
    /// was acknowledged is durable.
    package func close() async {
        let closing = environment.start { [shards] in await shards.close() }
        let bell = Bell(in: environment)
        // Ends with `closing`.
        environment.start {
            await closing.value
            bell.ring()
        }
        if await !bell.wait(milliseconds: Self.closeMillisecondsMax) {
            logger.error("shards did not close in time; what was acknowledged is durable")
        }
    }

    private static let closeMillisecondsMax: Int64 = 30_000
}
