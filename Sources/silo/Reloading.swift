import CommandLineTool
import Foundation
import SiloConfiguration
import SiloCore
import SiloServer
import SiloTelemetry

/// The settings in force, and how they are read anew.
struct Reloading {
    private let arguments: Arguments
    private let environment = ProcessInfo.processInfo.environment
    private(set) var configuration = Configuration()
    /// What of them is in force, for whoever asks the server.
    let inForce: ConfigurationInForce
    /// What the file says that has no effect.
    private(set) var notes: [String] = []
    /// Somebody asked for it before the server had started.
    private var isWanted = false

    init(_ arguments: Arguments, clock: any Clock) {
        self.arguments = arguments
        inForce = ConfigurationInForce(isVerbose: arguments.has("verbose"), clock: clock)
    }

    /// Reads all settings for the first time.
    /// - Throws: all that is wrong with them.
    mutating func start() throws {
        do {
            let loaded = try load(for: arguments.has("print-config") ? .showing : .serving)
            configuration = loaded.configuration
            notes = loaded.notes
            inForce.start(configuration)
        } catch let mistakes as LoadedConfiguration.Mistakes {
            throw Program.Failure("Config error: \(mistakes)")
        }
    }

    /// The log that the settings ask for.
    func logger() throws -> Logger {
        let filter = try filter(configuration)
        let isJSON = configuration[Settings.logging.format] == "json"
        guard let file = configuration[Settings.logging.file] else {
            return Logger("silo", format: isJSON ? .json : .textFor(STDOUT_FILENO, environment), filter: filter)
        }
        do throws(LogFileError) {
            return try Logger("silo", format: isJSON ? .json : .text, filter: filter, file: file)
        } catch {
            throw StartError("\(configuration.place(of: Settings.logging.file)): \(error)")
        }
    }

    /// Reads everything again and applies what can change; a mistake changes nothing. The log says what became of it.
    /// - Parameter node: nil: it is still starting; it is done then.
    mutating func reload(_ node: Node?, _ logger: Logger) async {
        // First, whatever else there is to say: the file was perhaps moved away.
        do throws(LogFileError) { try logger.control.reopenFile() } catch {
            logger.error("the log goes on in the old file", ["error": .init(error)])
        }
        guard let node else { return isWanted = true }
        do {
            let loaded = try load(for: .reloading)
            var settings = try NodeSettings(loaded.configuration) { text, file in logger.warn(text, ["file": .init(file)]) }
            settings.logFilter = try filter(loaded.configuration)
            let changes = configuration.changes(to: loaded.configuration)
            configuration = loaded.configuration
            let refusals = await node.reload(settings)
            let refused = Set(refusals.flatMap(\.keys))
            inForce.read(loaded.configuration, refused: refused)
            for refusal in refusals {
                logger.warn("a setting could not be changed", ["reason": .init(refusal.description)])
            }
            for note in loaded.notes { logger.warn("a setting has no effect", ["at": .init(note)]) }
            for key in changes.atRestart { logger.warn("a setting changes with the next start only", ["key": .init(key)]) }
            let changed = changes.applied.filter { !refused.contains($0) }
            logger.info("settings were read anew", ["changed": .init(changed.isEmpty ? "none" : changed.joined(separator: " "))])
            node.noteReload(changed: changed)
        } catch let mistakes as LoadedConfiguration.Mistakes {
            node.noteReload(changed: [], error: mistakes.description)
            for line in mistakes.lines { logger.error("settings stay as they are: the file has a mistake", ["at": .init(line)]) }
        } catch {
            node.noteReload(changed: [], error: "\(error)")
            logger.error("settings stay as they are", ["error": .init("\(error)")])
        }
    }

    /// The server that has started.
    /// - Throws: why it has not; a bad option is told as one.
    func node(_ outcome: Result<Node, any Error>) throws -> Node {
        do { return try outcome.get() } catch let error as StartError {
            let setting = Settings.entries.first { $0.key == error.mistakenSetting }
            guard let setting, configuration.source(of: setting) == .commandLine else { throw error }
            throw Arguments.Mistake(error.description)
        }
    }

    /// The server has started.
    mutating func begin(_ node: Node, _ logger: Logger) async {
        guard isWanted else { return }
        isWanted = false
        await reload(node, logger)
    }

    private func load(for purpose: LoadedConfiguration.Purpose) throws -> LoadedConfiguration {
        var loaded = try LoadedConfiguration(file: arguments.text("config"), arguments, environment: environment, for: purpose)
        loaded.configuration.setStandardPlace(DataLocation.standardFolder)
        return loaded
    }

    private func filter(_ configuration: Configuration) throws -> LogFilter {
        do throws(LogFilter.Mistake) {
            return try LogFilter(arguments.has("verbose") ? "debug" : configuration[Settings.logging.filter])
        } catch {
            throw Arguments.Mistake("\(configuration.place(of: Settings.logging.filter)): \(error)")
        }
    }
}
