import CommandLineTool
import SiloAPI

/// `config show`: what is set on the server that is spoken to.
func showConfiguration(_ arguments: Arguments, _ output: Output) async throws {
    let answer = try await Server(arguments).call(SiloV1.Silo.getConfiguration, .init())
    let wanted = arguments.text("name", default: "")
    let named = answer.sections.flatMap(\.settings).filter { wanted.isEmpty || $0.key.contains(wanted) }
    let settings = named.filter { !arguments.has("changed") || $0.origin != .defaults || $0.changesAtRestart }
    let none: Line = named.isEmpty ? "No setting is like that" : "Nothing differs from the defaults"
    let rows = settings.map { setting -> [Line] in
        let next = setting.changesAtRestart ? " (next start: \(setting.isSecret ? "another" : setting.nextValue))" : ""
        let change: Line = setting.isReloadable ? "reload" : "restart"
        return ["\(setting.key)", "\(setting.shownValue)\(next)", "\(setting.originText)", change]
    }
    try output.print(
        ["file": answer.file, "read_at_ms": answer.readAtMs, "settings": settings.map(\.object)],
        rows.isEmpty ? [none] : Table.lines(["Setting", "In force", "From", "Changes with a"], rows))
}

extension SiloV1.SettingInfo {
    fileprivate var shownValue: String {
        guard isSet else { return "-" }
        return isSecret ? "(set, not shown)" : value.split(separator: "\n").joined(separator: "; ")
    }

    fileprivate var originText: String {
        switch origin {
        case .file, .environment, .commandLine: place
        default: "default"
        }
    }

    fileprivate var object: [String: Any] {
        var object: [String: Any] = [
            "key": key, "set": isSet, "secret": isSecret, "source": originName, "default": defaultValue,
            "reloadable": isReloadable, "help": help, "changes_at_restart": changesAtRestart,
        ]
        if !isSecret { object["value"] = value }
        if !place.isEmpty { object["place"] = place }
        if !unused.isEmpty { object["unused"] = unused }
        if changesAtRestart, !isSecret { object["next_value"] = nextValue }
        return object
    }

    private var originName: String {
        switch origin {
        case .file: "file"
        case .environment: "environment"
        case .commandLine: "command_line"
        default: "default"
        }
    }
}
