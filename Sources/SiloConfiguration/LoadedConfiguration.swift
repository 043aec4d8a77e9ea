package import CommandLineTool

/// What an operator has set by all means together, checked whole.
package struct LoadedConfiguration: Sendable {
    package var configuration: Configuration
    /// What the file says that has no effect, line by line.
    package let notes: [String]

    /// All that is wrong with a file, or with what it means together with the command line.
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
    ///   - looksAtFiles: a file that it names and that cannot be used is a mistake.
    /// - Throws: `Mistakes`; `Arguments.Mistake` when only the command line is wrong.
    package init(
        file path: String?, _ arguments: Arguments?, environment: [String: String], looksAtFiles: Bool = false
    ) throws {
        var configuration = Configuration()
        var file: ConfigurationFile?
        if let path {
            do { file = try ConfigurationFile(path, environment: environment) } catch { throw Mistakes(lines: ["\(error)"]) }
        }
        if let file { configuration.take(file) }
        if let arguments {
            configuration.take(environment)
            try configuration.take(arguments)
        }
        let files = looksAtFiles ? configuration.unusableFiles { $0.entry.key } : []
        try Self.check(configuration, files, file)
        self.configuration = configuration
        notes = file?.notes.map(\.description) ?? []
    }

    private static func check(
        _ configuration: Configuration, _ files: [Configuration.Conflict], _ file: ConfigurationFile?
    ) throws {
        let conflicts = configuration.conflicts() + files
        let ofFile = conflicts.compactMap { conflict -> ConfigurationFile.Mistake? in
            guard let file, case .file(let line, let column) = conflict.source else { return nil }
            guard !conflict.isAbsence || !file.hasMistake(about: conflict.key) else { return nil }
            return .init(path: file.path, line: line, column: column, text: conflict.description)
        }
        let mistakes = ((file?.mistakes ?? []) + ofFile).sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        let others = conflicts.filter { if case .file = $0.source { false } else { true } }.map(\.description)
        guard mistakes.isEmpty else { throw Mistakes(lines: mistakes.map(\.description) + others) }
        guard others.isEmpty else { throw Arguments.Mistake(others.joined(separator: "\n")) }
    }
}
