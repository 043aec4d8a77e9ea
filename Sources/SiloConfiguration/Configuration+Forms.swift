package import CommandLineTool

extension Configuration {
    /// Looks at what options and the environment give as a file is looked at: what is printed can be loaded. A server that
    /// starts leaves most of that to who uses the values, and says more of what is wrong.
    /// - Parameter keys: of the settings that are looked at; nil: all.
    /// - Throws: all that is of no form.
    package func checkForms(of keys: Set<String>? = nil) throws(Arguments.Mistake) {
        let mistakes = Settings.entries.compactMap { entry -> String? in
            guard keys?.contains(entry.key) ?? true, let place = givenPlace(of: entry), case .text(let text) = value(of: entry),
                entry.form.value(of: .text(text)) == nil
            else { return nil }
            let found = entry.isSecret ? "" : ", not \(entry.form.text(of: .text(text)))"
            return "\(place) must be \(entry.form.wanted())\(found)"
        }
        guard mistakes.isEmpty else { throw Arguments.Mistake(mistakes.joined(separator: "\n")) }
    }

    /// The option or the variable that gives it; nil: neither does.
    private func givenPlace(of entry: SettingEntry) -> String? {
        switch source(of: entry) {
        case .commandLine: entry.option.map { "--\($0.name)" } ?? entry.key
        case .environment: entry.variable ?? entry.key
        case .file, .defaults: nil
        }
    }
}
