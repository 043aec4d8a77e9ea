import SiloCore

/// Everything that can be set, section by section. What reads and writes settings is made from this, so that it cannot differ.
///
/// A new setting is one `let` in its section's file.
package enum Settings {
    package static let server = ServerSettings()
    package static let tls = TLSSettings()
    package static let access = AccessSettings()
    package static let database = DatabaseSettings()
    package static let limits = LimitSettings()
    package static let tenancy = TenancySettings()
    package static let gubernator = GubernatorSection()
    package static let logging = LoggingSettings()
    package static let metrics = MetricsSettings()
    package static let webUI = WebUISettings()
    package static let coordination = CoordinationSettings()

    package static let sections: [any SettingsSection] = [
        server, database, coordination, tenancy, tls, access, limits, gubernator, logging, metrics, webUI,
    ]

    package static let entries: [SettingEntry] = sections.flatMap(\.entries)

    static func entry(_ key: String) -> SettingEntry? { byKey[key] }

    /// All sections, those within others as well, such as `database.wal`.
    static let sectionNames = Set(sections.map(\.name) + entries.map(\.section))

    /// Whether this is a setting that takes names of any kind.
    static func isTable(_ path: ArraySlice<String>) -> Bool {
        guard case .table = entry(path.joined(separator: "."))?.form else { return false }
        return true
    }

    /// What somebody meant who wrote a key or a section that there is not; nil: nobody knows.
    static func meant(_ path: [String]) -> String? {
        let section = path.dropLast().joined(separator: ".")
        let name = path.last ?? ""
        if let elsewhere = entries.first(where: { $0.name == name }) { return elsewhere.key }
        return Nearest.name(to: name, among: siblings(in: section)).map { section.isEmpty ? $0 : "\(section).\($0)" }
    }

    /// The same as a sentence to follow the one that says that there is no such thing.
    static func hint(_ path: [String]) -> String {
        if let meant = meant(path) { return "; did you mean \(meant)?" }
        let section = path.dropLast().joined(separator: ".")
        let known = siblings(in: section).joined(separator: ", ")
        return section.isEmpty ? "; there are \(known)" : "; [\(section)] has \(known)"
    }

    /// The keys of a section, or all sections.
    private static func siblings(in section: String) -> [String] {
        (section.isEmpty ? sectionNames : Set(entries.filter { $0.section == section }.map(\.name))).sorted()
    }

    private static let byKey = Dictionary(entries.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
}

/// A section of the file. Its settings are the fields of the type that has it.
package protocol SettingsSection: Sendable {
    var name: String { get }
    /// What it is about, in a sentence.
    var about: String { get }
}

extension SettingsSection {
    package var entries: [SettingEntry] {
        Mirror(reflecting: self).children.compactMap { ($0.value as? any AnySetting)?.entry }
    }
}
