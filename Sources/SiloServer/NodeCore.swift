package import SiloCore
package import SiloEngine
package import SiloTelemetry
import SlateDB
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
    let health: Health
    let identity: NodeIdentity
    private let environment: Environment
    private let logger: Logger
    /// Opens the shards, and opens them anew whenever they stop; ends when all are closed.
    private let running: Task<Void, Never>

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
        let callers = Callers(token: settings.authToken)
        let tenancy = Tenancy(isEnabled: settings.tenancy)
        var methods = MethodTable(in: environment)
        JobMethods(shards: shards, tenancy: tenancy).register(on: &methods, for: callers)
        LimitMethods(shards: shards, tenancy: tenancy).register(on: &methods, for: callers)
        WorkerMethods(
            shards: shards, tenancy: tenancy, random: environment.random, leaseMilliseconds: settings.engine.leaseMilliseconds,
            isDevelopment: settings.isDevelopment
        ).register(on: &methods, for: callers)
        AdminMethods(
            shards: shards, node: identity, location: location, isDevelopment: settings.isDevelopment,
            logger: logger.part("admin")
        ).register(on: &methods, for: callers)
        health.register(on: &methods)
        self.methods = methods
        running = environment.start {
            await withTaskGroup { group in
                for host in shards.hosts { group.addTask { await host.run() } }
            }
        }
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
        let shards = ShardSet(map.entries.map { entry in
            ShardHost(
                entry, in: storage, settings: settings.engine, environment: environment, rateLimiter: rateLimiter,
                budgets: budgets, logger: logger.part("shard"), events: events(entry.id), onChange: { health.update(entry.id, serves: $0) }
            )
        })
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
        let map = try await ShardMap.open(in: storage, count: settings.newShardCount, random: environment.random)
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
        let closing = environment.start { [shards, running] in
            await withTaskGroup { group in
                for host in shards.hosts { group.addTask { await host.close() } }
            }
            await running.value
        }
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
