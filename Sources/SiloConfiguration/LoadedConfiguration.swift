package import CommandLineTool

/// What an operator has set by all means together, checked whole.
package struct LoadedConfiguration: Sendable {
    package var configuration: Configuration
    /// What the file says that has no effect, line by line.
    package let notes: [String]

    /// What for it is read.
    package enum Purpose: Sendable {
        /// To serve with it: files that it names and that cannot be used are mistakes.
        case serving
        /// To be shown, so that what is shown can be loaded.
        case showing
        /// By a server that runs, which goes on with what it has of files that it cannot use.
        case reloading
    }

    /// All that is wrong: with a file, or with what it means together with the command line.
    package struct Mistakes: Error, CustomStringConvertible, Sendable {
        /// With file, line and column, where they are of the file.
        package let lines: [String]

        package var description: String {
            lines.count == 1 ? lines[0] : (["\(lines.count) mistakes"] + lines).joined(separator: "\n")
        }
    }

    /// - Parameters:
    ///   - path: the file; nil: without one.
    ///   - arguments: what overrides it; nil: nothing.
    /// - Throws: `Mistakes`; `Arguments.Mistake` when the command line is wrong and the file is not.
    package init(
        file path: String?, _ arguments: Arguments?, environment: [String: String], for purpose: Purpose = .reloading
    ) throws {
        var configuration = Configuration()
        var file: ConfigurationFile?
        var unreadable: [String] = []
        if let path {
            do throws(InputFile.Unreadable) { file = try ConfigurationFile(path, environment: environment) } catch {
                unreadable = [error.description]
            }
        }
        if let file { configuration.take(file) }
        var ofCommandLine: [String] = []
        if let arguments {
            configuration.take(environment)
            ofCommandLine = configuration.take(arguments)
        }
        ofCommandLine += configuration.formMistakes(of: purpose.formsLookedAt)
        if unreadable.isEmpty {
            try Self.check(configuration, for: purpose, file, ofCommandLine)
        } else {
            throw Mistakes(lines: unreadable + ofCommandLine)
        }
        self.configuration = configuration
        notes = file?.notes.map(\.description) ?? []
    }

    private static func check(
        _ configuration: Configuration, for purpose: Purpose, _ file: ConfigurationFile?, _ ofCommandLine: [String]
    ) throws {
        // What is shown is looked at by its forms.
        let conflicts = configuration.conflicts() + (purpose == .showing ? [] : configuration.valueConflicts())
        let unusable = purpose == .serving ? configuration.unusableFiles() : []
        let ofFile = (conflicts + unusable).compactMap { conflict -> ConfigurationFile.Mistake? in
            guard let file, case .file(let line, let column) = conflict.source else { return nil }
            guard !conflict.isAbsence || !file.hasMistake(about: conflict.key) else { return nil }
            return .init(path: file.path, line: line, column: column, text: conflict.description)
        }
        func others(_ conflicts: [Configuration.Conflict]) -> [String] {
            conflicts.filter { if case .file = $0.source { false } else { true } }.map(\.description)
        }
        let mistakes = ((file?.mistakes ?? []) + ofFile).sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        let ofCommandLine = ofCommandLine + others(conflicts)
        let files = others(unusable)
        guard mistakes.isEmpty else { throw Mistakes(lines: mistakes.map(\.description) + ofCommandLine + files) }
        guard ofCommandLine.isEmpty else { throw Arguments.Mistake((ofCommandLine + files).joined(separator: "\n")) }
        guard files.isEmpty else { throw Mistakes(lines: files) }
    }
}

extension LoadedConfiguration.Purpose {
    /// Of the settings that options and the environment give; nil: of all.
    fileprivate var formsLookedAt: Set<String>? {
        switch self {
        case .serving: [Settings.server.address.entry.key, Settings.metrics.address.entry.key]
        case .showing: nil
        case .reloading: []
        }
    }
}
