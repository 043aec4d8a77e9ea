import SiloAPI
import SiloCore

/// Everything that can be set: what is in force, where it comes from, and what it does.
enum ConfigurationPage {
    static let path = "/configuration"

    static let page = Page(path, menu: "Configuration", needs: SiloV1.Silo.getConfiguration) { visit in
        let found = try await visit.call(SiloV1.Silo.getConfiguration, .init())
        let wanted = (visit.query["name"] ?? "").lowercased()
        let isChanged = visit.query["changed"] != nil
        let sections = found.sections.map { section in
            var section = section
            section.settings = section.settings.filter { setting in
                (wanted.isEmpty || setting.key.lowercased().contains(wanted)) && (!isChanged || setting.isChanged)
            }
            return section
        }.filter { !$0.settings.isEmpty }
        let controls = [
            FilterBar.search("name", "Name contains", visit.query["name"] ?? ""),
            FilterBar.checkbox("changed", "Only those that somebody set", isChanged),
        ]
        let isFiltered = isChanged || !wanted.isEmpty
        let bar = FilterBar(path: path, controls: controls, clear: isFiltered ? Link(path) : nil)
        let none = Empty("No setting is like that", next: .link(Link(path), "Show all settings"))
        let lists: [HTML] = sections.isEmpty
            ? ["<section class=\"card\">\(none.html)</section>"] : sections.map { SettingsParts.section($0, visit) }
        return Content("Configuration", about: about(found, visit), "\(bar.html)\(lists)")
    }

    private static func about(_ found: SiloV1.GetConfigurationResponse, _ visit: Visit) -> HTML {
        let all = found.sections.flatMap(\.settings)
        let changed = Quantity.of(all.count(where: \.isChanged), "is set", "are set")
        let read = When(Timestamp(found.readAtMs), now: visit.now).html
        let file: HTML = found.file.isEmpty
            ? "There is no file: options and variables were read \(read)"
            : "The file \(Name(found.file).html) was read \(read); SIGHUP has it read anew"
        let waiting = all.count(where: \.changesAtRestart)
        let later: HTML = .when(waiting > 0, ". \(Quantity.of(waiting, "change waits", "changes wait")) for the next start")
        return "\(Quantity.of(all.count, "setting")), \(changed) by somebody. \(file)\(later)."
    }
}

enum SettingsParts {
    static func section(_ section: SiloV1.SettingsSectionInfo, _ visit: Visit) -> HTML {
        let rows = section.settings.map { setting -> [HTML] in
            [
                """
                <span><b>\(setting.key)</b><div class="below">\(setting.help)</div>\(unused(setting))</span>
                """,
                value(setting), origin(setting), standard(setting), setting.isReloadable ? "reload" : "restart",
            ]
        }
        let columns: [Table.Column] = [
            .init("Setting"), .init("In force"), .init("From"), .init("Default"), .init("Changes with a"),
        ]
        let table = Table(caption: "Settings of [\(section.name)]", columns: columns, rows: rows)
        return """
            <section class="card after settings-of"><h2>[\(section.name)] <small>\(section.about)</small></h2>\
            \(table.html)</section>
            """
    }

    private static func unused(_ setting: SiloV1.SettingInfo) -> HTML {
        .when(!setting.unused.isEmpty, "<div class=\"below\">No effect: \(setting.unused).</div>")
    }

    private static func value(_ setting: SiloV1.SettingInfo) -> HTML {
        let mark: HTML = .when(setting.origin != .defaults, " <span class=\"badge accent\">set</span>")
        return "<span>\(shown(setting.value, setting, isSet: setting.isSet))\(mark)\(next(setting))</span>"
    }

    /// Of a secret only whether there is one.
    private static func shown(_ value: String, _ setting: SiloV1.SettingInfo, isSet: Bool) -> HTML {
        guard isSet else { return "<span class=\"hint\">not set</span>" }
        guard !setting.isSecret else { return "<span class=\"value-of\">••••</span>" }
        guard !value.isEmpty else { return "<span class=\"hint\">nothing</span>" }
        return "<bdi class=\"value-of\">\(Name.visible(String(value.prefix(4096)), keeping: "\n"))</bdi>"
    }

    private static func next(_ setting: SiloV1.SettingInfo) -> HTML {
        guard setting.changesAtRestart else { return .empty }
        let value: HTML = setting.isSecret || setting.nextValue.isEmpty
            ? "another value" : "<bdi class=\"value-of\">\(Name.visible(String(setting.nextValue.prefix(4096))))</bdi>"
        return "<div class=\"below\"><span class=\"badge warn\">next start</span> \(value)</div>"
    }

    private static func origin(_ setting: SiloV1.SettingInfo) -> HTML {
        let kind: HTML =
            switch setting.origin {
            case .file: "file"
            case .environment: "environment"
            case .commandLine: "command line"
            default: "default"
            }
        let place: HTML = .when(!setting.place.isEmpty, "<div class=\"below\">\(Name(setting.place).html)</div>")
        return "<span>\(kind)\(place)</span>"
    }

    private static func standard(_ setting: SiloV1.SettingInfo) -> HTML {
        setting.defaultValue.isEmpty
            ? "<span class=\"hint\">\(setting.absent.isEmpty ? "none" : setting.absent)</span>"
            : "<span class=\"value-of\">\(setting.defaultValue)</span>"
    }
}

extension SiloV1.SettingInfo {
    /// Somebody set it.
    var isChanged: Bool { origin != .defaults || changesAtRestart }
}
