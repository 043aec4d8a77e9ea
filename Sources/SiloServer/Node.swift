import GRPC
public import SiloCore
import SiloEngine
import SiloService
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

    private init(
        _ core: NodeCore, limiter: GubernatorLimiter?, server: Server, drainTime: Duration, address: String, logger: Logger
    ) {
        self.core = core
        self.limiter = limiter
        self.server = server
        self.drainTime = drainTime
        self.address = address
        self.logger = logger
    }

    private static let rateAnswerSlackMilliseconds: Int64 = 5000

    /// Takes the port, reaches the rate limiter, opens every shard, then serves: who calls before waits. Throws what keeps it
    /// from starting.
    public static func start(
        _ settings: NodeSettings, in environment: Environment = .server, logger: Logger
    ) async throws -> Node {
        // Before anything is opened, which would make a folder, and in a bucket takes the shards from whoever serves them.
        let place = try DataLocation.Place(settings.data)
        if let advertised = settings.advertisedAddress { try AdvertisedAddress.check(advertised) }
        let sockets = try ListeningSockets.open(ServerOptions(address: settings.address))
        let begun = environment.clock.steady
        let limiter = try await connectLimiter(settings.gubernator, clock: environment.clock, logger: logger)
        var settings = settings
        if let gubernator = settings.gubernator?.bounded {
            // No answer comes later than that, even from a slow machine.
            settings.engine.rateAnswerMilliseconds = Self.rateAnswerSlackMilliseconds + Int64(
                gubernator.connectTimeoutMilliseconds + gubernator.requestTimeoutMilliseconds + gubernator.coalesceMilliseconds
            )
        }
        let core = try await openCore(settings, at: place, in: environment, limiter: limiter, logger: logger)

        let server = Server(ServerOptions(
            settings, shards: core.shards.hosts.count, memoryBytes: MachineMemory.bytes, logger: logger.part(.grpc)
        ))
        core.methods.register(on: server)
        Reflection().register(on: server)
        let address = Self.address(settings.address, sockets)
        let advertised = AdvertisedAddress(listening: address, given: settings.advertisedAddress)
        // Before anybody can ask who has the shards.
        core.identity.address = advertised.text
        do {
            _ = try server.start(on: sockets)
            logger.warnOfAccess(settings, advertised)
            logger.info("server started", [
                "grpc": .init(address), "advertised": .init(advertised.text), "data": .init(settings.data),
                "shards": .init(core.shards.hosts.count), "start_ms": .init(Int(environment.clock.steady - begun)),
            ])
            return Node(core, limiter: limiter, server: server, drainTime: settings.drain, address: address, logger: logger)
        } catch {
            await core.close()
            throw error
        }
    }

    /// What is really listened on: port 0 means any.
    private static func address(_ given: String, _ sockets: ListeningSockets) -> String {
        guard !given.hasPrefix("unix:"), let colon = given.lastIndex(of: ":") else { return given }
        return "\(given[..<colon]):\(sockets.port)"
    }

    /// Opens what the settings name: the shard map, then the shards.
    private static func openCore(
        _ settings: NodeSettings, at place: DataLocation.Place, in environment: Environment, limiter: GubernatorLimiter?,
        logger: Logger
    ) async throws -> NodeCore {
        logger.info("opening", ["data": .init(settings.data)])
        let location = try DataLocation(place)
        if let command = location.openToOthers {
            logger.warn("other users of this machine can read the data folder", ["close_it_with": .init(command)])
        }
        let storageLogger = logger.part(.storage)
        let logs = try LocalLogs(for: location, settings, in: environment, logger: storageLogger)
        var storage = SlateStorage(location, settings.storage, logs: logs, logger: storageLogger)
        StorageLog.forgetTrouble()
        let waiting = Waiting("the shard map", logger, in: environment) { [settings.data] } trouble: { StorageLog.trouble }
        defer { waiting.end() }
        let map = try await ShardMap.open(in: storage, settings, random: environment.random)
        waiting.end()
        storage.shareCache(settings.cacheBytes, among: map.entries.count)
        return await NodeCore.open(
            map, in: storage, settings, location: location, environment: environment, rateLimiter: limiter, logger: logger
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
        let limiter = try GubernatorLimiter(settings, clock: clock, logger: logger.part(.limits))
        try await limiter.connect()
        return limiter
    }
}
