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
    let admin: AdminOperations
    /// Nil: there is always room.
    let room: DataGuard?
    private let watching: Task<Void, Never>?
    private let queries: QueryOperations
    private let environment: Environment
    private let logger: Logger

    private init(
        _ shards: ShardSet, _ health: Health, _ settings: NodeSettings, _ gate: Gate, location: DataLocation?,
        environment: Environment, profiler: (any Profiler)?, tracer: RecordingTracer?, metrics: NodeMetrics?,
        configuration: (any ConfigurationSource)?, logger: Logger
    ) {
        self.shards = shards
        self.health = health
        self.environment = environment
        self.logger = logger
        let shardIDs = shards.hosts.map(\.id)
        let room = location.map { location in
            DataGuard(
                settings.maxData, of: location, logFolder: settings.logFolder, shards: shardIDs, clock: environment.clock,
                logger: logger.part(.storage))
        }
        self.room = room
        // `close` ends it.
        watching = room.map { room in environment.start { await room.watch() } }
        let identity = NodeIdentity(id: settings.nodeID ?? UUID.random(from: environment.random).text)
        self.identity = identity
        let overview = OverviewReader(
            metrics: metrics, parts: NodeParts(identity: identity, shards: shards, room: room), version: settings.version,
            startedAt: environment.clock.now, clock: environment.clock)
        let operations = Operations(
            shards: shards, node: identity, storage: location, tenancy: Tenancy(isEnabled: settings.tenancy),
            leaseMilliseconds: settings.engine.leaseMilliseconds, isDevelopment: settings.isDevelopment,
            room: room ?? EndlessRoom(), environment: environment, profiler: profiler, tracer: tracer,
            queries: settings.queries, queryEvents: metrics?.queries ?? NoQueryEvents(), overview: overview,
            configuration: configuration, audit: gate.audit,
            logger: logger.part(.admin)
        )
        queries = operations.queries
        admin = operations.admin
        var methods = MethodTable(in: environment, tracer: tracer, logger: logger.part(.calls))
        methods.serve(operations, for: gate)
        health.register(on: &methods)
        self.methods = methods
    }

    /// Opens the shards of `map`. Returns when each was tried; one that does not open goes on being tried, and the others serve.
    /// - Parameters:
    ///   - location: for what operators ask of SlateDB; nil where the shards are not kept there.
    ///   - rateLimiter: is asked instead of the shards' own buckets.
    ///   - metrics: what is measured; nil: nothing.
    ///   - configuration: tells what is set; nil: nobody knows.
    ///   - events: whoever is told what a shard does.
    static func open(
        _ map: ShardMap, in storage: any NodeStorage, _ settings: NodeSettings, _ gate: Gate, location: DataLocation?,
        environment: Environment, rateLimiter: (any RateLimiter)? = nil, profiler: (any Profiler)? = nil,
        tracer: RecordingTracer? = nil, metrics: NodeMetrics? = nil, configuration: (any ConfigurationSource)? = nil,
        logger: Logger,
        events: @Sendable (ShardID) -> any EngineEvents = { _ in NoEvents() }
    ) async -> NodeCore {
        let budgets = MemoryBudgets(settings.engine)
        let health = Health(map.entries.map(\.id))
        let bulkEnds = BulkEnds(audit: gate.audit, logger: logger.part(.admin))
        let hosts = map.entries.map { entry in
            ShardHost(
                entry, in: storage, settings: settings.engine, environment: environment, rateLimiter: rateLimiter,
                budgets: budgets, logger: logger.part(.shard), events: events(entry.id),
                finder: ConditionFinder(entry.id, settings.queries, environment.clock), bulkEnds: bulkEnds,
                onChange: { health.update(entry.id, serves: $0) }
            )
        }
        let shards = ShardSet(hosts, in: environment) { health.forget($0) }
        let core = NodeCore(
            shards, health, settings, gate, location: location, environment: environment, profiler: profiler, tracer: tracer,
            metrics: metrics, configuration: configuration, logger: logger
        )
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
        let access = Access(secret: settings.authToken, clock: environment.clock)
        let gate = Gate(access, clock: environment.clock, logger: logger)
        let core = await open(
            map, in: storage, settings, gate, location: nil, environment: environment, rateLimiter: rateLimiter, logger: logger,
            events: events
        )
        core.identity.address = address
        return core
    }

    var parts: NodeParts { NodeParts(identity: identity, shards: shards, room: room) }

    /// Tells everybody who asks that no calls are wanted any more.
    package func beginDraining() { health.drain() }

    /// Answers workers that wait for work, so that they ask elsewhere.
    package func dismissWaiters() {
        for host in shards.hosts { host.shard?.dismissWaiters() }
    }

    /// Ends the statements that run.
    package func endStatements() { queries.close() }

    /// Makes everything durable and closes the shards. What does not close in time is left: the process is about to end, and what
    /// was acknowledged is durable.
    package func close() async {
        watching?.cancel()
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
