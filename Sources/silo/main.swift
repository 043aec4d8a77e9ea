import CommandLineTool
import Foundation
import GRPC
import OTLP
import SiloConfiguration
import SiloCore
import SiloServer
import SiloTelemetry
import SlateDB

// Before anything else: a signal that comes early ends the server as a late one does.
let signals = Signals.hold()
// While there is one thread. Profiles of the heap are written when they are asked for, not whenever so much was allocated.
for name in ["HEAP_PROFILE_ALLOCATION_INTERVAL", "HEAP_PROFILE_INUSE_INTERVAL"] { setenv(name, "0", 0) }

await Program.run(usage, builtFrom: BuildInfo.lines) { arguments in
    let memory = Memory()
    defer { withExtendedLifetime(memory) {} }
    // What it writes is nobody else's to read.
    umask(0o077)
    // The first SIGPIPE of a closed connection must not end the server.
    signal(SIGPIPE, SIG_IGN)
    let (events, report) = AsyncStream<Event>.makeStream()
    Signals.tell(signals) { report.yield(.signal($0)) }
    DescriptorLimit.raise()

    let world = SiloCore.Environment.server
    var reloading = Reloading(arguments, clock: world.clock)
    try reloading.start()
    if arguments.has("print-config") {
        return Program.say(reloading.configuration.text)
    }
    let logger = try reloading.logger()
    forwardLogs(to: logger)
    for note in reloading.notes { logger.warn("a setting has no effect", ["at": .init(note)]) }
    let settings = try NodeSettings(reloading.configuration) { text, file in logger.warn(text, ["file": .init(file)]) }

    let variables = ProcessInfo.processInfo.environment
    let spans = SpanExporter(of: "silo", version: Program.version, variables, logger: logger.part(.traces))
    let started = StartedNode()
    // Ends with the process: a signal that comes before it is done does not wait for it.
    Task { [settings, inForce = reloading.inForce] in
        do {
            let profiler = ProcessProfiler(clock: world.clock)
            let node = try await Node.start(
                settings, in: world, profiler: profiler, allocator: { Memory.figures }, tracer: spans?.tracer,
                configuration: inForce, logger: logger, whenServing: started.keep
            )
            report.yield(.started(.success(node)))
        } catch {
            report.yield(.started(.failure(error)))
        }
    }
    var node: Node?
    for await event in events {
        switch event {
        case .started(let outcome):
            let new = try reloading.node(outcome)
            node = new
            await reloading.begin(new, logger)
        case .signal("SIGHUP"): await reloading.reload(node, logger)
        case .signal(let signal):
            guard let node = started.stop() else {
                // What is half open is left as after a kill: nothing has been acknowledged.
                logger.info("stopping before the start was done", ["signal": .init(signal)])
                return logger.info("server stopped")
            }
            logger.info("stopping", ["signal": .init(signal)])
            await node.stop()
            return await spans?.close() ?? ()
        }
    }
}

/// What the program waits for.
enum Event: Sendable {
    case started(Result<Node, any Error>)
    case signal(String)
}

/// Writes what the libraries beneath have to say into the server's log.
func forwardLogs(to logger: Logger) {
    let storageLogger = logger.part(.storage)
    try? StorageLog.forward(.info) { message in
        let level: LogLevel =
            switch message.level {
            case .error: .error
            case .warning: .warn
            case .info, .debug, .trace: .debug
            }
        storageLogger.log(level, "storage engine", ["text": .init(message.text), "source": .init(message.target)])
    }

    let networkThrottle = LogThrottle(logger.part(.grpc))
    // What the library calls an error is a peer that misbehaved; it is no error of this server.
    CoreLog.setHandler { line in
        networkThrottle.log(
            line.severity == .error ? .warn : .debug, kind: line.place, "grpc core",
            [
                "text": .init(line.text), "source": .init(line.place),
            ])
    }
}
