import GRPC
package import SiloCore
import SiloEngine
package import SiloService
package import SiloTelemetry
import SlateDB
import Synchronization

/// A server: its shards, and the port that they are served through.
public final class Node: Sendable {
    let core: NodeCore
    private let limiter: GubernatorLimiter?
    let server: Server
    private let operators: Operators
    private let gate: Gate
    let accessFiles: AccessFiles
    /// Looks at files until the server stops.
    private let watch: Task<Void, Never>
    let drainTime: Mutex<Duration>
    let tracer: RecordingTracer?
    let logger: Logger

    /// Where it listens: `host:port`.
    public let address: String

    private init(
        _ core: NodeCore, limiter: GubernatorLimiter?, server: Server, _ gate: Gate, _ accessFiles: AccessFiles,
        _ operators: Operators, watch: Task<Void, Never>, drainTime: Duration, address: String, tracer: RecordingTracer?,
        logger: Logger
    ) {
        self.core = core
        self.limiter = limiter
        self.server = server
        self.gate = gate
        self.accessFiles = accessFiles
        self.watch = watch
        self.operators = operators
        self.drainTime = Mutex(drainTime)
        self.address = address
        self.tracer = tracer
        self.logger = logger
    }

    private static let rateAnswerSlackMilliseconds: Int64 = 5000

    /// Takes the port, reaches the rate limiter, opens every shard, then serves: who calls before waits. Throws what keeps it
    /// from starting.
    /// - Parameters:
    ///   - profiler: looks into this process, for operators.
    ///   - allocator: what the program's allocator says of its memory.
    ///   - tracer: records calls and what is done for them.
    ///   - configuration: tells what is set, for operators.
    ///   - whenServing: is given the server, and what logs that it has started, before this returns.
    package static func start(
        _ settings: NodeSettings, in environment: Environment = .server, profiler: (any Profiler)? = nil,
        allocator: AllocatorFigures? = nil, tracer: RecordingTracer? = nil, configuration: (any ConfigurationSource)? = nil,
        logger: Logger, whenServing: (Node, () -> Void) -> Void = { _, announce in announce() }
    ) async throws -> Node {
        // Before anything is opened, which would make a folder, and in a bucket takes the shards from whoever serves them.
        let place = try DataLocation.Place(settings.data, from: settings.names.data)
        if let address = settings.advertisedAddress { try AdvertisedAddress.check(address, from: settings.names.advertised) }
        var settings = settings
        // What changes while the shards are opened, which may take long, is read anew as soon as they are.
        let watched = AccessFiles.Watched(settings)
        if settings.tls == nil { settings.tls = try settings.tlsFiles?.read() }
        let gate = try gate(settings, clock: environment.clock, logger: logger)
        let sockets = try listen(settings)
        let begun = environment.clock.steady
        let operators = Operators(settings, gate, allocator: allocator, in: environment, logger: logger)
        operators.metrics?.watch(logger.control)
        operators.metrics?.watch(gate)
        if let tracer { operators.metrics?.watch(tracer) }
        let limiter = try await connectLimiter(settings, clock: environment.clock, logger: logger)
        if let gubernator = settings.gubernator?.bounded {
            // No answer comes later than that, even from a slow machine.
            settings.engine.rateAnswerMilliseconds = Self.rateAnswerSlackMilliseconds + Int64(
                gubernator.connectTimeoutMilliseconds + gubernator.requestTimeoutMilliseconds + gubernator.coalesceMilliseconds
            )
        }
        let core = try await openCore(
            settings, at: place, gate, in: environment, limiter: limiter, profiler: profiler, metrics: operators.metrics,
            tracer: tracer, configuration: configuration, logger: logger
        )

        let server = Server(ServerOptions(
            settings, shards: core.shards.hosts.count, memoryBytes: MachineMemory.bytes, metrics: operators.metrics,
            logger: logger.part(.grpc)
        ))
        operators.metrics?.watch(core, in: environment) { [weak server] in server?.runningCalls ?? 0 }
        core.methods.register(on: server)
        Reflection().register(on: server)
        let address = Self.address(settings.address, sockets)
        let advertised = AdvertisedAddress(listening: address, given: settings.advertisedAddress)
        // Before anybody can ask who has the shards.
        core.identity.address = advertised.text
        do {
            _ = try server.start(on: sockets)
            operators.run(core)
            logger.warnOfAccess(settings, advertised)
            let files = AccessFiles(
                settings, watched, gate, server, onRenewal: { operators.port?.renew($0, in: environment) },
                clock: environment.clock, logger: logger.part(.admin)
            )
            operators.metrics?.watch(files)
            let node = Node(
                core, limiter: limiter, server: server, gate, files, operators,
                // Ends when the node stops.
                watch: environment.start { await files.watch() }, drainTime: settings.drain, address: address, tracer: tracer,
                logger: logger
            )
            whenServing(node) { [settings] in
                logger.info("server started", [
                    "grpc": .init(address), "advertised": .init(advertised.text), "data": .init(settings.data),
                    "durability": .init(core.shards.durability), "shards": .init(core.shards.hosts.count),
                    "metrics": .init(operators.port?.address ?? "none"),
                    "start_ms": .init(Int(environment.clock.steady - begun)),
                ])
                logger.warnOfUnopened(core.shards.hosts)
            }
            return node
        } catch {
            await core.close()
            throw error
        }
    }

    /// Who may call, as settings and files say at the start.
    private static func gate(_ settings: NodeSettings, clock: any Clock, logger: Logger) throws -> Gate {
        let access = Access(
            secret: settings.authToken, grants: try settings.grants(logger.part(.admin)),
            asksForCertificate: settings.tls?.clientCA != nil, clock: clock
        )
        let audit = try settings.auditLog.map { place in
            do throws(AuditLog.Failure) { return try AuditLog(place, logger: logger.part(.admin)) } catch {
                throw StartError("\(settings.names.auditLog): \(error)")
            }
        }
        return Gate(access, audit: audit, clock: clock, logger: logger.part(.admin))
    }

    private static func listen(_ settings: NodeSettings) throws(StartError) -> ListeningSockets {
        do throws(ListenError) { return try ListeningSockets.open(ServerOptions(address: settings.address)) } catch {
            throw StartError("\(settings.names.address): \(error)")
        }
    }

    /// What is really listened on: port 0 means any.
    private static func address(_ given: String, _ sockets: ListeningSockets) -> String {
        guard !given.hasPrefix("unix:"), let colon = given.lastIndex(of: ":") else { return given }
        return "\(given[..<colon]):\(sockets.port)"
    }

    /// Opens what the settings name: the shard map, then the shards.
    private static func openCore(
        _ settings: NodeSettings, at place: DataLocation.Place, _ gate: Gate, in environment: Environment,
        limiter: GubernatorLimiter?, profiler: (any Profiler)?, metrics: NodeMetrics?, tracer: RecordingTracer?,
        configuration: (any ConfigurationSource)?, logger: Logger
    ) async throws -> NodeCore {
        logger.debug("opening", ["data": .init(settings.data)])
        let location = try DataLocation(place)
        if let command = location.openToOthers {
            logger.warn("other users of this machine can read the data folder", ["close_it_with": .init(command)])
        }
        let storageLogger = logger.part(.storage)
        let logs = try LocalLogs(for: location, settings, in: environment, logger: storageLogger)
        if let logs { metrics?.watch(logs) }
        var storage = SlateStorage(
            location, settings.storage, logs: logs,
            compaction: settings.fullCompactionMilliseconds, isMeasured: metrics != nil, clock: environment.clock,
            logger: storageLogger
        )
        StorageLog.forgetTrouble()
        let waiting = Waiting("the shard map", logger, in: environment) { [settings.data] } trouble: { StorageLog.trouble }
        defer { waiting.end() }
        let map = try await ShardMap.open(in: storage, settings, random: environment.random)
        waiting.end()
        if let asked = settings.shardCount, asked != map.entries.count {
            logger.warn(
                "the number of shards counts only for a new place: this one keeps what it has",
                ["data": .init(settings.data), "shards": .init(map.entries.count), "asked": .init(asked)])
        }
        storage.shareCache(settings, among: map.entries.count)
        return await NodeCore.open(
            map, in: storage, settings, gate, location: location, environment: environment, rateLimiter: limiter,
            profiler: profiler, tracer: tracer, metrics: metrics, configuration: configuration, logger: logger,
            events: { id in
                guard let metrics else { return NoEvents() }
                return metrics.shard(id)
            }
        )
    }

    /// Takes no more calls, lets those that run end, makes everything durable and closes the shards.
    public func stop() async {
        core.beginDraining()
        operators.status.drains()
        logger.info("draining", ["calls": .init(server.runningCalls)])
        server.refuseCalls()
        core.dismissWaiters()
        core.endStatements()
        await server.shutdown(grace: drainTime.withLock { $0 })
        watch.cancel()
        // Nothing waits for its answers any longer than this.
        limiter?.close()
        await core.close()
        await operators.stop()
        gate.audit?.close()
        logger.info("server stopped")
    }

    /// The rate limiter that the settings name, once it has answered.
    private static func connectLimiter(
        _ settings: NodeSettings, clock: any Clock, logger: Logger
    ) async throws -> GubernatorLimiter? {
        guard let gubernator = settings.gubernator else { return nil }
        let limiter = try GubernatorLimiter(gubernator, clock: clock, logger: logger.part(.limits))
        try await limiter.connect(called: settings.names.gubernator)
        return limiter
    }
}
