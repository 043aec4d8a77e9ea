package import CommandLineTool

extension Configuration {
    /// The options of all settings, in the order of the table.
    package static var options: [Usage.Option] {
        Settings.entries.compactMap { entry in
            entry.option.map { .init($0.name, $0.letter, $0.placeholder, help: entry.optionHelp) }
        }
    }

    /// Takes what the command line gives.
    /// - Returns: all that is wrong with it.
    mutating func take(_ arguments: Arguments) -> [String] {
        var mistakes: [String] = []
        for entry in Settings.entries {
            guard let option = entry.option, arguments.has(option.name) else { continue }
            let text = arguments.text(option.name, default: "")
            if let value = entry.form.value(ofOption: text, unit: option.unit) {
                set(entry, value, from: .commandLine)
            } else {
                let found = entry.isSecret ? "" : ", not \(text)"
                mistakes.append("--\(option.name) must be \(entry.form.wanted(unit: option.unit))\(found)")
            }
        }
        takeDataOption()
        return mistakes
    }

    /// Takes what the environment gives.
    package mutating func take(_ environment: [String: String]) {
        for entry in Settings.entries {
            guard let name = entry.variable, let text = environment[name],
                let value = entry.form.value(ofOption: text, unit: nil)
            else { continue }
            set(entry, value, from: .environment)
        }
    }
}

extension SettingEntry {
    private static let helpColumns = 74

    /// What it does and what holds without it, in lines for a terminal.
    fileprivate var optionHelp: String {
        var text = option?.help ?? help
        if let shown = defaultOfOption { text += " (\(shown))" }
        if let variable { text += " (environment \(variable))" }
        return text.wrapped(to: Self.helpColumns)
    }

    /// Nil where it goes without saying.
    private var defaultOfOption: String? {
        guard let defaultValue else { return absent == "none" ? nil : absent }
        switch (defaultValue, form) {
        case (.flag, _): return nil
        case (.number(let number), .duration), (.number(let number), .size): return "\(number / (option?.unit ?? 1))"
        case (.number(let number), _): return "\(number)"
        case (.text(let text), _): return text
        default: return nil
        }
    }
}

extension String {
    /// In lines of at most so many columns, broken at spaces.
    func wrapped(to columns: Int) -> String {
        var lines = [""]
        for word in split(separator: " ") {
            if let last = lines.last, !last.isEmpty, last.count + 1 + word.count > columns { lines.append("") }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines.joined(separator: "\n")
    }
}
