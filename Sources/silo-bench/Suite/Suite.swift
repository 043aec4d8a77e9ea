import CommandLineTool
import Foundation

/// The suite command: measures part after part, then prints the table and the line for programs.
struct Suite {
    /// One thing to measure.
    enum Part: String, CaseIterable, Sendable {
        case unary
        case batch
        case library
        case defaults
        case inprocess
        case ack
        case ready
        case neighbour
        case million
        case tenants
        case limits
        case handover
        case deadlock
        case flood
        case simulation
        case log
        case retention
        case drop
        case bulk

        /// Those that a run without `--only` measures; the others are about limits.
        static let standard: [Part] = [
            .unary, .batch, .library, .defaults, .inprocess, .ack, .ready, .neighbour, .million, .tenants,
        ]
    }

    private let place: Place
    private let parts: [Part]

    /// Where and how long to measure.
    struct Place: Sendable {
        let server: String
        let folder: WorkFolder
        let isQuick: Bool

        /// Seconds of a steady window.
        var window: Double { isQuick ? 3 : 10 }

        func start(_ name: String, _ options: [String] = []) async throws -> ServerProcess {
            try await ServerProcess.start(server, data: "\(folder.path)/\(name)", options: options)
        }
    }

    init(_ arguments: Arguments) throws {
        if let names = arguments.text("only") {
            parts = try names.split(separator: ",").map { name in
                guard let part = Part(rawValue: String(name)) else { throw Arguments.Mistake("--only: there is no part \(name)") }
                return part
            }
        } else {
            parts = Part.standard
        }
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let server = arguments.text("server", default: program.appendingPathComponent("silo").path)
        guard FileManager.default.isExecutableFile(atPath: server) else {
            throw Failure("there is no server program at \(server): build it, or name it with --server")
        }
        let folder = try WorkFolder(in: arguments.text("data"))
        place = Place(server: server, folder: folder, isQuick: arguments.has("quick"))
    }

    func run() async throws {
        let signals = EndSignals(folder: place.folder)
        defer {
            Running.killAll()
            place.folder.remove()
            signals.ignore()
        }
        let fileSystem = FileSystem(of: place.folder.path)
        guard !fileSystem.isMemory else {
            throw Failure("\(place.folder.path) is on \(fileSystem): name a folder on a disk with --data")
        }
        say("server   \(place.server)")
        say("folder   \(place.folder.path), \(fileSystem)")
        say("machine  \(ProcessInfo.processInfo.activeProcessorCount) cores, load \(Self.load) before the start")
        var results = Results()
        var failures: [String] = []
        for part in parts {
            do {
                try await measure(part, &results)
            } catch {
                Running.killAll()
                failures.append("\(part.rawValue): \(error)")
                say("  \(part.rawValue) failed: \(error)")
            }
        }
        results.print(isQuick: place.isQuick)
        guard failures.isEmpty else { throw Failure("not everything could be measured: " + failures.joined(separator: "; ")) }
    }

    private func measure(_ part: Part, _ results: inout Results) async throws {
        switch part {
        case .unary: try await LifeCycleRate.unary.measure(in: place, &results)
        case .batch: try await LifeCycleRate.batch.measure(in: place, &results)
        case .library: try await LibraryEnqueue(place: place).measure(&results)
        case .defaults: try await Defaults(place: place).measure(&results)
        case .inprocess: try await EngineShare(place: place).measure(&results)
        case .ack: try await Acknowledgement(place: place).measure(&results)
        case .ready: try await ReadyToLeased(place: place).measure(&results)
        case .neighbour: try await Neighbour(place: place).measure(&results)
        case .million: try await Backlog.oneTenant(place).measure(&results)
        case .limits: try await LimitShares(place: place).measure(&results)
        case .handover: try await Handover(place: place).measure(&results)
        case .deadlock: try await Deadlock(place: place).measure(&results)
        case .flood: try await Flood(place: place).measure(&results)
        case .simulation: try SimulationSpeed(place: place).measure(&results)
        case .log: try await LogCost(place: place).measure(&results)
        case .retention: try await RetentionShare(place: place).measure(&results)
        case .drop: try await DropShare(place: place).measure(&results)
        case .bulk: try await BulkShare(place: place).measure(&results)
        case .tenants: try await Backlog.manyTenants(place).measure(&results)
        }
    }

    private static var load: String {
        let text = FileHandle(forReadingAtPath: "/proc/loadavg").flatMap { try? $0.readToEnd() } ?? Data()
        return String(decoding: text, as: UTF8.self).split(separator: " ").first.map(String.init) ?? "unknown"
    }
}

/// Ends the suite's servers and removes its folder when the suite is told to end.
private final class EndSignals: @unchecked Sendable {
    // Safety: set once in `init`; dispatch sources are thread-safe.
    private let sources: [any DispatchSourceSignal]

    init(folder: WorkFolder) {
        sources = [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                Running.killAll()
                folder.remove()
                exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    func ignore() { for source in sources { source.cancel() } }
}
