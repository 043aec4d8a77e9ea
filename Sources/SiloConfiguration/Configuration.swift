/// What an operator has set, and by which means. What is not given has its default.
package struct Configuration: Sendable {
    /// Where a value comes from. Later ones override earlier ones.
    package enum Source: Sendable, Comparable {
        case defaults
        /// Where in the file.
        case file(line: Int, column: Int)
        case environment
        case commandLine

        private var rank: Int {
            switch self {
            case .defaults: 0
            case .file: 1
            case .environment: 2
            case .commandLine: 3
            }
        }

        /// Neither overrides the other.
        func isBeside(_ other: Self) -> Bool { rank == other.rank }

        package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
    }

    private struct Given: Sendable {
        let value: SettingValue
        let source: Source
    }

    private var given: [String: Given] = [:]
    /// The file that was read; nil: none.
    package private(set) var file: String?

    package init() {}

    /// The value in force.
    package subscript<Value>(_ setting: Setting<Value>) -> Value { setting.read(given[setting.entry.key]?.value) }

    package func isGiven<Value>(_ setting: Setting<Value>) -> Bool { given[setting.entry.key] != nil }

    package func source(of entry: SettingEntry) -> Source { given[entry.key]?.source ?? .defaults }

    package func source<Value>(of setting: Setting<Value>) -> Source { source(of: setting.entry) }

    /// The value in force; nil when there is none.
    package func value(of entry: SettingEntry) -> SettingValue? { given[entry.key]?.value ?? entry.defaultValue }

    /// Sets a value, unless one from a source of more weight is there.
    mutating func set(_ entry: SettingEntry, _ value: SettingValue, from source: Source) {
        guard !(source < self.source(of: entry)) else { return }
        given[entry.key] = Given(value: value, source: source)
    }

    /// Takes what is right of a file.
    mutating func take(_ file: ConfigurationFile) {
        self.file = file.path
        for (entry, value, line, column) in file.values { set(entry, value, from: .file(line: line, column: column)) }
    }

    /// How the operator named a setting, or would name one beside another: by option, by variable or by key.
    package func title<Value>(_ setting: Setting<Value>, as source: Source? = nil) -> String {
        let entry = setting.entry
        switch source ?? self.source(of: setting) {
        case .commandLine: return entry.option.map { "--\($0.name)" } ?? entry.key
        case .environment: return entry.variable ?? entry.key
        case .file, .defaults: return entry.key
        }
    }

    /// Where the operator says it, for a message: `--data`, `SILO_LOG` or `database.path (silo.toml:3)`; where nobody does, how
    /// it could be said.
    package func place<Value>(of setting: Setting<Value>) -> String {
        switch source(of: setting) {
        case .file(let line, _): "\(setting.entry.key) (\(file ?? ""):\(line))"
        case .commandLine, .environment: title(setting)
        case .defaults: title(setting, as: .commandLine)
        }
    }
}
