import SiloConfiguration

/// docs/configuration.md, made from the table of settings.
enum ConfigurationPage {
    static var text: String {
        let parts = [introduction] + Settings.sections.map(section)
        return parts.joined(separator: "\n\n") + "\n"
    }

    private static func section(_ section: any SettingsSection) -> String {
        let rows = section.entries.map { entry in
            let cells = [
                "`\(entry.key)`", entry.shownForm, entry.shownDefault, entry.option.map { "`--\($0.name)`" } ?? "",
                entry.isReloadable ? "yes" : "", entry.explanation,
            ]
            return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
        }
        let head = ["| key | value | default | option | SIGHUP | what it is |", "|---|---|---|---|---|---|"]
        return (["## [\(section.name)]", "", section.about, ""] + head + rows).joined(separator: "\n")
    }

    private static let introduction = """
        # Configuration

        <!-- Made from Sources/SiloConfiguration: make docs -->

        A server needs no configuration. What is set comes, in this order, from

        1. options of the command line,
        2. environment variables (`SILO_LOG`, `SILO_AUTH_TOKEN`),
        3. a TOML file: `silo --config silo.toml`,
        4. the defaults below.

        `silo --print-config` shows what is in force and where each value comes from, without secrets, as a file that can be
        loaded. `siloctl validate-config -c silo.toml` checks a file without a server. Both tell every mistake at once, with
        file, line and column. [examples/config](../examples/config) has commented files. A file says where the data is, by
        `database.backend` and `database.path`, unless `--data` does; also one with nothing in it, so that a server whose file was
        emptied by accident does not begin anew in another place.

        **Units.** Durations are texts such as `"250ms"`, `"5s"`, `"1h30m"`, `"7d"`; sizes `"64MiB"`, `"1GB"`, `"4096B"`. A
        key that names its unit (`…_ms`, `…_s`, `…_bytes`) takes a bare number as well.

        **Environment.** In a text, `${VAR}` is the variable, or nothing when it is not set; `${VAR:-text}` is `text` when it
        is not set. A variable that is set to nothing stays empty. `$VAR` is text. What comes in is not looked at again, and
        cannot break the file: keys, comments and what is outside of quotes are left alone. Where a number or `true` is
        wanted, `"${VAR}"` in quotes is read as one.

        **Reload.** SIGHUP reads the file, and the files that it names, anew. What has `yes` below changes at once; the log
        names what changed and what waits for the next start. A file with a mistake changes nothing, and the log tells all of
        it. Options and the environment of the running server keep overriding the file.

        **Files of other servers** of `silo.v1` have the same keys. Here an unknown key is a mistake, references stand in
        texts alone, memory for caches is bounded over all shards (`cache_size`) unless `memory_cache` bounds it for each, a
        new place has 1 shard, or 8 with tenancy, and a `wal` is a folder on local disk.

        A key that is marked *no effect* is one of upstream's whose part works otherwise here or does not exist yet. It is
        checked, and a warning says so. A file has at most 64 KiB.
        """
}

extension SettingEntry {
    fileprivate var shownDefault: String { defaultValue.map { "`\(form.text(of: $0))`" } ?? absent }

    fileprivate var shownForm: String {
        switch form {
        case .text: "text"
        case .word(let words): words.map { "`\"\($0)\"`" }.joined(separator: ", ")
        case .texts: "list of texts"
        default: String(form.wanted().replacing(/, such as "[^"]*"( or "[^"]*"|)/, with: ""))
        }
    }

    fileprivate var explanation: String {
        var text = help
        if let variable { text += "; environment `\(variable)`" }
        if isSecret { text += "; never shown" }
        if let unused { text += ". *No effect: \(unused)*" }
        return text
    }
}
