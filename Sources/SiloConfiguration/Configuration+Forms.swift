extension Configuration {
    /// What options and the environment give that is of no form, as a file is looked at. Much of that is left to who uses the
    /// values, and says more of what is wrong.
    /// - Parameter keys: of the settings that are looked at; nil: all.
    func formMistakes(of keys: Set<String>? = nil) -> [String] {
        Settings.entries.compactMap { entry in
            guard keys?.contains(entry.key) ?? true, let place = givenPlace(of: entry), case .text(let text) = value(of: entry),
                entry.form.value(of: .text(text)) == nil
            else { return nil }
            let found = entry.isSecret ? "" : ", not \(entry.form.text(of: .text(text)))"
            return "\(place) must be \(entry.form.wanted())\(found)"
        }
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
