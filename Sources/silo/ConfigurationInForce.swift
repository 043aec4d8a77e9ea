import SiloAPI
import SiloConfiguration
import SiloCore
import SiloService
import Synchronization

/// What is set and in force, for whoever asks the server: what was read anew is in force where it could be changed.
final class ConfigurationInForce: ConfigurationSource {
    private struct State {
        /// What was read last.
        var last = Configuration()
        /// The configuration that is in force, for each setting.
        var inForce: [String: Configuration] = [:]
        var readAt = Timestamp(0)
    }
    private let state = Mutex(State())
    private let isVerbose: Bool
    private let clock: any Clock

    /// - Parameter isVerbose: the command line asks for more log lines than the settings.
    init(isVerbose: Bool, clock: any Clock) {
        self.isVerbose = isVerbose
        self.clock = clock
    }

    /// The server starts with these.
    func start(_ configuration: Configuration) {
        take(configuration) { _ in true }
    }

    /// It was told to read its settings anew.
    /// - Parameter refused: keys of those that could not be changed.
    func read(_ configuration: Configuration, refused: Set<String>) {
        take(configuration) { $0.isReloadable && !refused.contains($0.key) }
    }

    private func take(_ configuration: Configuration, where isInForce: (SettingEntry) -> Bool) {
        state.withLock { state in
            state.last = configuration
            state.readAt = clock.now
            for entry in Settings.entries where isInForce(entry) { state.inForce[entry.key] = configuration }
        }
    }

    var shown: SiloV1.GetConfigurationResponse {
        let state = state.withLock { $0 }
        var response = SiloV1.GetConfigurationResponse()
        response.file = state.last.file ?? ""
        response.readAtMs = state.readAt.milliseconds
        response.sections = Settings.sections.map { section in
            var shown = SiloV1.SettingsSectionInfo()
            (shown.name, shown.about) = (section.name, section.about)
            shown.settings = section.entries.map { entry in
                var info = SiloV1.SettingInfo(entry, state.inForce[entry.key] ?? state.last, next: state.last)
                if isVerbose, entry.key == Settings.logging.filter.entry.key {
                    (info.isSet, info.value, info.origin, info.place) = (true, "\"debug\"", .commandLine, "--verbose")
                }
                return info
            }
            return shown
        }
        return response
    }
}

extension SiloV1.SettingInfo {
    /// - Parameter next: what is in force from the next start on.
    fileprivate init(_ entry: SettingEntry, _ configuration: Configuration, next: Configuration) {
        self.init()
        let value = configuration.value(of: entry)
        key = entry.key
        isSet = value != nil
        self.value = Self.text(of: value, entry)
        (origin, place) = Self.origin(of: entry, configuration)
        defaultValue = entry.defaultValue.map { entry.form.text(of: $0) } ?? ""
        absent = entry.absent
        wanted = entry.form.wanted()
        help = entry.help
        isSecret = entry.isSecret
        isReloadable = entry.isReloadable
        unused = entry.unused ?? ""
        let later = next.value(of: entry)
        changesAtRestart = later != value && entry.unused == nil
        if changesAtRestart { nextValue = Self.text(of: later, entry) }
    }

    private static func text(of value: SettingValue?, _ entry: SettingEntry) -> String {
        guard let value, !entry.isSecret else { return "" }
        guard case .table(let table) = value else { return entry.form.text(of: value) }
        return table.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }.joined(separator: "\n")
    }

    private static func origin(of entry: SettingEntry, _ configuration: Configuration) -> (Origin, String) {
        switch configuration.source(of: entry) {
        case .defaults: (.defaults, "")
        case .file(let line, _): (.file, "\(configuration.file ?? ""):\(line)")
        case .environment: (.environment, entry.variable ?? "")
        case .commandLine: (.commandLine, "--\(entry.option?.name ?? "data")")
        }
    }
}
