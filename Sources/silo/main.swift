import CommandLineTool
import Foundation
import GRPC
import SiloEngine
import SiloServer
import SiloTelemetry
import SlateDB

// Before anything else: a signal that comes early ends the server as a late one does.
let stopSignals = StopSignals.hold()

let usage = Usage(
    "silo", "Serves a durable job queue over gRPC. With no options it keeps its data on local disk.",
    commands: [
        .init(
            "", help: "",
            options: [
                .init("listen", "l", "host:port", help: "where to listen (127.0.0.1:7450); port 0 takes any free one"),
                .init(
                    "advertise", nil, "host:port",
                    help: "what clients are told to call (where it listens; the host's name when\nit listens on all interfaces)"
                ),
                .init(
                    "data", "d", "place",
                    help: "a folder, s3://bucket/prefix, gs://..., az://... or memory:\n(\(DataLocation.standardFolder))"),
                .init(
                    "log", nil, "folder",
                    help:
                        "a folder on local disk for the log of data in a bucket: answers wait for\nthe disk, and only this "
                            + "machine can open the shards until they were closed"
                ),
                .init("shards", nil, "count", help: "shards of a new data location, 1 to 1024 (1; 8 with --tenancy)"),
                .init("tenancy", nil, nil, help: "requests name tenants"),
                .init("dev", nil, nil, help: "allow ResetShards, which erases everything, and LeaseTask, which passes limits"),
                .init(
                    "auth-token-file", nil, "file", help: "callers must show the secret in it; keep it from others (chmod 600)"),
                .init(
                    "auth-token", nil, "secret",
                    help:
                        "the same on the command line, where ps shows it to everybody on the\nmachine (environment "
                            + "SILO_AUTH_TOKEN)"
                ),
                .init("tls-cert", nil, "file", help: "certificate chain to serve with, PEM"),
                .init("tls-key", nil, "file", help: "its private key, PEM"),
                .init("tls-client-ca", nil, "file", help: "callers need a certificate of this authority, PEM"),
                .init("gubernator", nil, "host:port", help: "the rate limiter to ask; it must answer when the server starts"),
                .init("gubernator-coalesce-ms", nil, "ms", help: "how long a check waits for others to share its call (5)"),
                .init("gubernator-batch", nil, "count", help: "checks in one call (100)"),
                .init("gubernator-connect-timeout-ms", nil, "ms", help: "how long to try to reach it (5000)"),
                .init("gubernator-request-timeout-ms", nil, "ms", help: "how long a call may take (10000)"),
                .init("flush-gap-ms", nil, "ms", help: "least time between two log flushes (0; 20 on an object store)"),
                .init("cache-mib", nil, "size", help: "memory for what is read from storage (128)"),
                .init("log-memory-mib", nil, "size", help: "memory for rows that are only in a log on local disk (128)"),
                .init("audit-secs", nil, "seconds", help: "time between two audits of what the limits hold; 0: none (60)"),
                .init("log-format", nil, "text|json", help: "how log lines look (text)"),
                .init("verbose", "v", nil, help: "also log debug lines"),
            ])
    ],
    notes: """
        Stop it with SIGTERM or SIGINT: it takes no more calls, lets running ones end, and closes its shards.
        Log lines go to standard output; SILO_LOG filters them, for example SILO_LOG=warn,shard=debug.
        """
)

await Program.run(usage) { arguments in
    let memory = Memory()
    defer { withExtendedLifetime(memory) {} }
    // What it writes is nobody else's to read.
    umask(0o077)
    // The first SIGPIPE of a closed connection must not end the server.
    signal(SIGPIPE, SIG_IGN)
    let (events, report) = AsyncStream<Event>.makeStream()
    StopSignals.tell(stopSignals) { report.yield(.signal($0)) }
    DescriptorLimit.raise()

    let format = arguments.text("log-format", default: "text")
    guard let format = Logger.Format(rawValue: format) else {
        throw Arguments.Mistake("--log-format must be text or json, not \(format)")
    }
    let environment = ProcessInfo.processInfo.environment
    let filter = environment["SILO_LOG"] ?? (arguments.has("verbose") ? "debug" : "info")
    let logger: Logger
    do throws(LogFilter.Mistake) {
        logger = Logger("silo", format: format, filter: try LogFilter(filter))
    } catch {
        throw Arguments.Mistake("SILO_LOG: \(error)")
    }
    let storageLogger = logger.part(.storage)
    try? StorageLog.forward(.info) { message in
        let level: LogLevel = switch message.level {
        case .error: .error
        case .warning: .warn
        case .info, .debug, .trace: .debug
        }
        storageLogger.log(level, "storage engine", ["text": .init(message.text), "source": .init(message.target)])
    }

    let networkLogger = logger.part(.grpc)
    let networkThrottle = LogThrottle(networkLogger)
    // What the library calls an error is a peer that misbehaved; it is no error of this server.
    CoreLog.setHandler { line in
        networkThrottle.log(line.severity == .error ? .warn : .debug, kind: line.place, "grpc core", [
            "text": .init(line.text), "source": .init(line.place),
        ])
    }

    var settings = NodeSettings(data: arguments.text("data", default: DataLocation.standardFolder))
    settings.address = arguments.text("listen", default: settings.address)
    settings.advertisedAddress = arguments.text("advertise")
    if arguments.has("shards") { settings.shardCount = try arguments.number("shards", default: 1, in: 1...1024) }
    settings.tenancy = arguments.has("tenancy")
    settings.isDevelopment = arguments.has("dev")
    settings.authToken = try authToken(arguments, environment, logger)
    settings.cacheBytes = UInt64(try arguments.number("cache-mib", default: 128, in: 1...1_048_576)) << 20
    settings.logFolder = arguments.text("log")
    settings.overlayBytes = try arguments.number("log-memory-mib", default: 128, in: 1...1_048_576) << 20
    let gap = settings.data.contains("://") && settings.logFolder == nil ? 20 : 0
    settings.engine.flushGapMilliseconds = Int64(try arguments.number("flush-gap-ms", default: gap, in: 0...60_000))
    let audit = try arguments.number("audit-secs", default: 60, in: 0...86_400)
    settings.engine.auditMilliseconds = audit == 0 ? nil : Int64(audit) * 1000
    settings.tls = try serverTLS(arguments)
    settings.gubernator = try gubernator(arguments)

    // Ends with the process: a signal that comes before it is done does not wait for it.
    Task { [settings] in
        do { report.yield(.started(.success(try await Node.start(settings, logger: logger)))) } catch {
            report.yield(.started(.failure(error)))
        }
    }
    var node: Node?
    for await event in events {
        switch event {
        case .started(let outcome): node = try outcome.get()
        case .signal(let signal):
            guard let node else {
                // What is half open is left as after a kill: nothing has been acknowledged.
                logger.info("stopping before the start was done", ["signal": .init(signal)])
                return logger.info("server stopped")
            }
            logger.info("stopping", ["signal": .init(signal)])
            return await node.stop()
        }
    }
}

/// What the program waits for.
enum Event: Sendable {
    case started(Result<Node, any Error>)
    case signal(String)
}

/// The secret that callers must show; nil lets everybody in.
func authToken(_ arguments: Arguments, _ environment: [String: String], _ logger: Logger) throws -> String? {
    let token: String?
    if let path = arguments.text("auth-token-file") {
        guard !arguments.has("auth-token") else {
            throw Arguments.Mistake("--auth-token and --auth-token-file exclude each other: give one of them")
        }
        let secret: SecretFile
        do { secret = try SecretFile(path) } catch { throw StartError("--auth-token-file: \(error)") }
        if secret.isReadByOthers {
            logger.warn("other users of this machine can read the auth token: chmod 600", ["file": .init(path)])
        }
        token = secret.text
    } else {
        token = arguments.text("auth-token") ?? environment["SILO_AUTH_TOKEN"]
    }
    guard token?.isEmpty != true else { throw Arguments.Mistake("the auth token is empty: name one, or none at all") }
    return token
}

/// The certificate that the options name; nil without one.
func serverTLS(_ arguments: Arguments) throws -> ServerTLS? {
    func read(_ option: String) throws -> [UInt8]? {
        try arguments.text(option).map { try InputFile.read($0, as: "--\(option)") }
    }
    for (given, missing) in [("tls-cert", "tls-key"), ("tls-key", "tls-cert")]
    where arguments.has(given) && !arguments.has(missing) {
        throw Arguments.Mistake("--\(missing) is missing: --tls-cert and --tls-key go together")
    }
    let authority = try read("tls-client-ca")
    switch (try read("tls-cert"), try read("tls-key")) {
    case (let certificate?, let key?):
        return ServerTLS(certificateChain: certificate, privateKey: key, clientCA: authority)
    default:
        guard authority == nil else { throw Arguments.Mistake("--tls-client-ca needs --tls-cert and --tls-key") }
        return nil
    }
}

/// The rate limiter that the options name; nil without one.
func gubernator(_ arguments: Arguments) throws -> GubernatorSettings? {
    guard let address = arguments.text("gubernator") else {
        for option in ["coalesce-ms", "batch", "connect-timeout-ms", "request-timeout-ms"]
        where arguments.has("gubernator-\(option)") {
            throw Arguments.Mistake("--gubernator-\(option) needs --gubernator")
        }
        return nil
    }
    var settings = GubernatorSettings(address: address)
    // 0 is taken for 1.
    func number(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws -> Int {
        try arguments.number("gubernator-\(option)", default: value, in: 0...range.upperBound)
    }
    settings.coalesceMilliseconds = try number("coalesce-ms", settings.coalesceMilliseconds, GubernatorSettings.coalesceRange)
    settings.batchMax = try number("batch", settings.batchMax, GubernatorSettings.batchRange)
    settings.connectTimeoutMilliseconds = try number(
        "connect-timeout-ms", settings.connectTimeoutMilliseconds, GubernatorSettings.timeoutRange
    )
    settings.requestTimeoutMilliseconds = try number(
        "request-timeout-ms", settings.requestTimeoutMilliseconds, GubernatorSettings.timeoutRange
    )
    return settings
}
