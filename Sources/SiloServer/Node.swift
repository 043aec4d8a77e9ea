import GRPC
import Protobuf
public import SiloCore
import SiloEngine
public import SiloTelemetry
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

/// A server: its shards and what they are served through.
public final class Node: Sendable {
    private let shards: ShardSet
    private let limiter: GubernatorLimiter?
    private let server: Server
    private let health: Health
    private let drainTime: Duration
    private let logger: Logger
    /// Reopens shards whose storage failed; ends when all are closed.
    private let watching: Task<Void, Never>

    /// Where it listens: `host:port`.
    public let address: String

    private init(
        shards: ShardSet, limiter: GubernatorLimiter?, server: Server, health: Health, drainTime: Duration, address: String,
        logger: Logger
    ) {
        self.shards = shards
        self.limiter = limiter
        self.server = server
        self.health = health
        self.drainTime = drainTime
        self.address = address
        self.logger = logger
        watching = Task {
            await withTaskGroup { group in
                for host in shards.hosts { group.addTask { await host.watch() } }
            }
        }
    }

    /// Reaches the rate limiter, opens every shard, then the port. Throws what keeps it from starting.
    public static func start(
        _ settings: NodeSettings, clock: any Clock, random: any RandomSource, logger: Logger
    ) async throws -> Node {
        let begun = clock.now
        let limiter = try await connectLimiter(settings.gubernator, clock: clock, logger: logger)
        let location = try DataLocation(settings.data)
        let shards = try await openShards(
            settings, location, rateLimiter: limiter, clock: clock, random: random, logger: logger
        )

        var options = ServerOptions(address: settings.address)
        options.tls = settings.tls
        options.maxConcurrentCalls = settings.concurrentCallsMax
        let server = Server(options)
        let identity = NodeIdentity(id: UUID.random(from: random).text)
        let callers = Callers(token: settings.authToken)
        let tenancy = Tenancy(isEnabled: settings.tenancy)
        JobMethods(shards: shards, tenancy: tenancy).register(on: server, for: callers)
        WorkerMethods(
            shards: shards, tenancy: tenancy, random: random, leaseMilliseconds: settings.engine.leaseMilliseconds
        ).register(on: server, for: callers)
        AdminMethods(
            shards: shards, node: identity, location: location, isDevelopment: settings.isDevelopment,
            logger: logger.part("admin")
        ).register(on: server, for: callers)
        let health = Health()
        health.register(on: server)
        Reflection().register(on: server)

        do {
            try Self.check(settings.address)
            let port = try server.start()
            let host = settings.address.prefix(upTo: settings.address.lastIndex(of: ":") ?? settings.address.endIndex)
            let address = "\(host):\(port)"
            identity.address = settings.advertisedAddress ?? address
            let node = Node(
                shards: shards, limiter: limiter, server: server, health: health, drainTime: settings.drain,
                address: address, logger: logger
            )
            logger.info("server started", [
                "grpc": .init(address), "data": .init(settings.data), "shards": .init(shards.hosts.count),
                "start_ms": .init(Int(clock.now - begun)),
            ])
            return node
        } catch {
            for host in shards.hosts { await host.close() }
            throw error
        }
    }

    /// Takes no more calls, lets those that run end, makes everything durable and closes the shards.
    public func stop() async {
        health.drain()
        logger.info("draining", ["calls": .init(server.runningCalls)])
        server.refuseCalls()
        for host in shards.hosts { host.shard?.dismissWaiters() }
        await server.shutdown(grace: drainTime)
        // Nothing waits for its answers any longer than this.
        limiter?.close()
        await withTaskGroup { group in
            for host in shards.hosts { group.addTask { await host.close() } }
        }
        await watching.value
        logger.info("server stopped")
    }

    /// The rate limiter that the settings name, once it has answered.
    private static func connectLimiter(
        _ settings: GubernatorSettings?, clock: any Clock, logger: Logger
    ) async throws -> GubernatorLimiter? {
        guard let settings else { return nil }
        let limiter = try GubernatorLimiter(settings, clock: clock, logger: logger.part("limits"))
        try await limiter.connect()
        return limiter
    }

    private static func openShards(
        _ settings: NodeSettings, _ location: DataLocation, rateLimiter: (any RateLimiter)?, clock: any Clock,
        random: any RandomSource, logger: Logger
    ) async throws -> ShardSet {
        var options = OpenOptions()
        options.settings = storageDefaults.merging(settings.storage) { $1 }
        if location.isFolder {
            // They keep a writer that was fenced long ago from bringing deleted files back. SlateDB's local store cannot write
            // them, and there the folder's lock keeps such a writer out.
            options.settings["garbage_collector_options.boundary_files_enabled"] = "false"
        }
        let map = try await ShardMap.open(in: location, options, count: settings.shardCount, random: random)
        let cacheBytes = settings.cacheBytes / UInt64(map.entries.count)
        options.blockCacheBytes = max(1 << 20, cacheBytes * 3 / 4)
        options.metadataCacheBytes = max(1 << 20, cacheBytes / 4)
        let hosts = map.entries.map { entry in
            ShardHost(
                entry, in: location, options: options, settings: settings.engine, rateLimiter: rateLimiter, clock: clock,
                random: random, logger: logger.part("shard")
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
        return ShardSet(hosts)
    }

    /// The C core takes a missing port for another one, and a port that is too large for what is left of it.
    private static func check(_ address: String) throws {
        guard !address.hasPrefix("unix:") else { return }
        let port = address.split(separator: ":", omittingEmptySubsequences: false).last.flatMap { UInt16($0) }
        guard address.contains(":"), !address.hasPrefix(":"), port != nil else {
            throw StartError("the address to listen on must be host:port with a port from 0 to 65535, not \(address)")
        }
    }

    /// What SlateDB is told unless the operator says otherwise.
    private static let storageDefaults = [
        // Left alone, a call on a store that is gone waits for ever; here it fails, and the shard is opened anew.
        "object_store_max_retries": "3",
        // Memory for what is not in sorted files yet, in bytes: left alone it may grow to 1 GiB a shard.
        "max_unflushed_bytes": "134217728",
        "l0_sst_size_bytes": "33554432",
        "l0_flush_parallelism": "2",
        // Writers wait when as many files stand before the compactor; it looks often, so that they seldom do.
        "l0_max_ssts": "16",
        "compactor_options.poll_interval": "\"1s\"",
        "compactor_options.worker.compactions_poll_interval": "\"1s\"",
        "compactor_options.worker.max_sst_size": "67108864",
        "compactor_options.worker.max_fetch_tasks": "2",
        "compactor_options.worker.max_subcompactions": "1",
    ]
}
