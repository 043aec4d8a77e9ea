import Foundation

extension Configuration {
    /// What is in force, as a file that would say the same. Secrets are left out.
    package var text: String {
        var lines = ["# What is in force. Each value is followed by where it comes from."]
        for section in Settings.sections {
            lines += ["", "[\(section.name)]"]
            for entry in section.entries { lines += self.lines(of: entry, in: section.name) }
        }
        return lines.joined(separator: "\n")
    }

    private func lines(of entry: SettingEntry, in section: String) -> [String] {
        // A key of a table within: `wal.path`.
        let name = String(entry.key.dropFirst(section.count + 1))
        guard let value = value(of: entry) else { return ["# \(name): not set (\(entry.absent))"] }
        guard !entry.isSecret else { return ["# \(name): set, not shown (\(origin(of: entry)))"] }
        if case .table(let table) = value {
            guard !table.isEmpty else { return ["# \(name): nothing (\(origin(of: entry)))"] }
            return table.sorted { $0.key < $1.key }.map { "\(name).\($0.key) = \($0.value)  # \(origin(of: entry))" }
        }
        return ["\(name) = \(entry.form.text(of: value))  # \(origin(of: entry))"]
    }

    /// Where a value comes from, for people to read.
    private func origin(of entry: SettingEntry) -> String {
        let source =
            switch self.source(of: entry) {
            case .defaults: "default"
            case .file(let line, _): "\(file ?? "file"):\(line)"
            case .environment: "environment \(entry.variable ?? "")"
            case .commandLine: "--\(entry.option?.name ?? "data")"
            }
        return source + (entry.unused.map { "; no effect: \($0)" } ?? "")
    }
}

extension SettingForm {
    /// A value as the file has it.
    package func text(of value: SettingValue) -> String {
        switch (self, value) {
        case (.duration(_, let unit), .number(let number)): Self.text(number, unit, Unit.times)
        case (.size(_, let unit), .number(let number)): Self.text(number, unit, Unit.sizes)
        case (_, .number(let number)): "\(number)"
        case (_, .text(let text)): Self.quoted(text)
        case (_, .flag(let flag)): "\(flag)"
        case (_, .fraction(let fraction)): "\(fraction)"
        case (_, .texts(let texts)): "[" + texts.map(Self.quoted).joined(separator: ", ") + "]"
        case (_, .table(let table)): table.isEmpty ? "{}" : "{ … }"
        }
    }

    /// A bare number where the key says its unit.
    private static func text(_ number: Int, _ unit: Int?, _ units: [Unit]) -> String {
        if let unit, number % unit == 0 { return "\(number / unit)" }
        return "\"\(Unit.text(number, in: units))\""
    }

    /// A basic string of TOML.
    private static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"": "\\\""
            case "\\": "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f: String(format: "\\u%04x", scalar.value)
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}
