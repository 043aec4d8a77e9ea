import GRPC
public import SiloCore
import SiloEngine
public import SiloTelemetry
import SlateDB

/// A server: its shards, and the port that they are served through.
public final class Node: Sendable {
    private let core: NodeCore
    private let limiter: GubernatorLimiter?
    private let server: Server
    private let drainTime: Duration
    private let logger: Logger

    /// Where it listens: `host:port`.
    public let address: String

    private init(_ core: NodeCore, limiter: GubernatorLimiter?, server: Server, drainTime: Duration, address: String, logger: Logger) {
        self.core = core
        self.limiter = limiter
        self.server = server
        self.drainTime = drainTime
        self.address = address
        self.logger = logger
    }

    private static let rateAnswerSlackMilliseconds: Int64 = 5000

    /// Reaches the rate limiter, opens every shard, then the port. Throws what keeps it from starting.
    public static func start(
        _ settings: NodeSettings, in surroundings: Surroundings = .server, logger: Logger
    ) async throws -> Node {
        // Before anything is opened: in a bucket, opening takes the shards from whoever serves them.
        try check(settings.address)
        let begun = surroundings.clock.steady
        let limiter = try await connectLimiter(settings.gubernator, clock: surroundings.clock, logger: logger)
        var settings = settings
        if let gubernator = settings.gubernator?.bounded {
            // No answer comes later than that, even from a slow machine.
            settings.engine.rateAnswerMilliseconds = Self.rateAnswerSlackMilliseconds + Int64(
                gubernator.connectTimeoutMilliseconds + gubernator.requestTimeoutMilliseconds + gubernator.coalesceMilliseconds
            )
        }
        let core = try await openCore(settings, in: surroundings, limiter: limiter, logger: logger)

        let server = Server(ServerOptions(
            settings, shards: core.shards.hosts.count, memoryBytes: MachineMemory.bytes, logger: logger.part("grpc")
        ))
        core.methods.register(on: server)
        core.health.registerWatch(on: server)
        Reflection().register(on: server)
        do {
            let port = try server.start()
            let host = settings.address.prefix(upTo: settings.address.lastIndex(of: ":") ?? settings.address.endIndex)
            let address = "\(host):\(port)"
            let advertised = AdvertisedAddress(listening: address, given: settings.advertisedAddress)
            core.identity.address = advertised.text
            logger.warnOfAccess(settings, advertised)
            logger.info("server started", [
                "grpc": .init(address), "advertised": .init(advertised.text), "data": .init(settings.data),
                "shards": .init(core.shards.hosts.count), "start_ms": .init(Int(surroundings.clock.steady - begun)),
            ])
            return Node(core, limiter: limiter, server: server, drainTime: settings.drain, address: address, logger: logger)
        } catch {
            await core.close()
            throw error
        }
    }

    /// Opens what the settings name: the shard map, then the shards.
    private static func openCore(
        _ settings: NodeSettings, in surroundings: Surroundings, limiter: GubernatorLimiter?, logger: Logger
    ) async throws -> NodeCore {
        logger.info("opening", ["data": .init(settings.data)])
        let location = try DataLocation(settings.data)
        if let command = location.openToOthers {
            logger.warn("other users of this machine can read the data folder", ["close_it_with": .init(command)])
        }
        let storageLogger = logger.part("storage")
        let logs = try LocalLogs(for: location, settings, in: surroundings, logger: storageLogger)
        var storage = SlateStorage(location, settings.storage, logs: logs, logger: storageLogger)
        StorageLog.forgetTrouble()
        let waiting = Waiting("the shard map", logger, in: surroundings) { [settings.data] } trouble: { StorageLog.trouble }
        defer { waiting.end() }
        let map = try await ShardMap.open(in: storage, count: settings.newShardCount, random: surroundings.random)
        waiting.end()
        storage.shareCache(settings.cacheBytes, among: map.entries.count)
        return await NodeCore.open(
            map, in: storage, settings, location: location, surroundings: surroundings, rateLimiter: limiter, logger: logger
        )
    }

    /// Takes no more calls, lets those that run end, makes everything durable and closes the shards.
    public func stop() async {
        core.beginDraining()
        logger.info("draining", ["calls": .init(server.runningCalls)])
        server.refuseCalls()
        core.dismissWaiters()
        await server.shutdown(grace: drainTime)
        // Nothing waits for its answers any longer than this.
        limiter?.close()
        await core.close()
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

    /// The C core takes a missing port for another one, and a port that is too large for what is left of it.
    private static func check(_ address: String) throws {
        guard !address.hasPrefix("unix:") else { return }
        let port = address.split(separator: ":", omittingEmptySubsequences: false).last.flatMap { UInt16($0) }
        guard address.contains(":"), !address.hasPrefix(":"), port != nil else {
            throw StartError("the address to listen on must be host:port with a port from 0 to 65535, not \(address)")
        }
    }
}
