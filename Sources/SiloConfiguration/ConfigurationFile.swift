package import CommandLineTool
import SiloCore

/// A TOML file with settings, read whole: every value that is right, and every mistake.
package struct ConfigurationFile: Sendable {
    /// As the operator named it.
    package let path: String
    package private(set) var mistakes: [Mistake] = []
    /// What is no mistake and has no effect.
    package private(set) var notes: [Mistake] = []
    private(set) var values: [(entry: SettingEntry, value: SettingValue, line: Int, column: Int)] = []
    private var tables: [String: (values: [String: String], line: Int, column: Int)] = [:]
    private let environment: [String: String]
    /// Of all of it nobody knows what it says.
    private var isUnreadable = false
    /// Sections that have a line which could not be read.
    private var unreadSections: Set<Substring> = []

    /// Further ones are only counted.
    private static let mistakesMax = 100

    /// One thing that is wrong, and where.
    package struct Mistake: Error, CustomStringConvertible, Sendable, Equatable {
        package let path: String
        package let line: Int
        package let column: Int
        package let text: String
        /// Sections that it is about.
        var sections: Set<Substring> = []

        package var description: String { "\(path):\(line):\(column): \(text)" }
    }

    /// - Throws: when the file cannot be read, or is too large to be one.
    package init(_ path: String, environment: [String: String]) throws(InputFile.Unreadable) {
        self.init(path, try InputFile.read(path, as: "--config", bytesMax: TOMLDocument.bytesMax), environment: environment)
    }

    package init(_ path: String, _ text: [UInt8], environment: [String: String]) {
        self.path = path
        self.environment = environment
        let document = TOMLDocument(text)
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        for error in document.errors {
            let line = lines.indices.contains(error.line - 1) ? lines[error.line - 1] : ""
            note(error.text(at: line), at: error.line, error.column)
            noteUnread(error, lines)
        }
        if document.values.isEmpty, !document.errors.isEmpty { isUnreadable = true }
        for value in document.values where mistakes.count <= Self.mistakesMax { take(value) }
        for (key, table) in tables {
            if let entry = Settings.entry(key) { values.append((entry, .table(table.values), table.line, table.column)) }
        }
        if mistakes.count > Self.mistakesMax {
            mistakes.removeLast(mistakes.count - Self.mistakesMax)
            note("there are more mistakes", at: mistakes.last?.line ?? 1, 1)
            // Of what else is wrong nobody knows.
            isUnreadable = true
        }
        mistakes.sort { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    /// Whether something is wrong in the same section, or with all.
    func hasMistake(about key: String) -> Bool {
        guard !isUnreadable, let section = key.split(separator: ".").first else { return true }
        if unreadSections.contains(section) { return true }
        return mistakes.contains { $0.sections.contains(section) }
    }

    /// What else may stand in a section with a line that could not be read; where it is a heading, in any.
    private mutating func noteUnread(_ error: TOMLDocument.Fault, _ lines: [Substring]) {
        let above = lines.prefix(max(0, error.line)).map { $0.drop { $0 == " " || $0 == "\t" } }
        guard let heading = above.lastIndex(where: { $0.hasPrefix("[") }), heading < error.line - 1, !error.isOfAllBelow else {
            return isUnreadable = true
        }
        unreadSections.insert(above[heading].dropFirst().prefix { $0 != "]" && $0 != "." })
    }

    /// - Parameter keys: what it is about, or may be.
    private mutating func note(_ text: String, at line: Int, _ column: Int, about keys: String?...) {
        let sections = keys.compactMap { $0?.split(separator: ".").first }
        mistakes.append(Mistake(path: path, line: line, column: column, text: text, sections: Set(sections)))
    }

    private mutating func take(_ value: TOMLDocument.Value) {
        let path = value.path ?? []
        let key = path.joined(separator: ".")
        if let depth = (1..<max(1, path.count)).first(where: { Settings.isTable(path.prefix($0)) }) {
            return takeTable(value, Array(path.prefix(depth)), Array(path.dropFirst(depth)))
        }
        if let entry = Settings.entry(key) { return take(value, entry) }
        if Settings.sectionNames.contains(key) {
            if value.type != "table" {
                note("\(key) is a section: write [\(key)], and its keys below", at: value.line, value.column, about: key)
            }
            return
        }
        // What is in an unknown section is not told of one by one.
        if path.count > 1, !Settings.sectionNames.contains(path.dropLast().joined(separator: ".")) { return }
        let kind = value.type == "table" ? "section [\(key)]" : "key \(key)"
        note("there is no \(kind)\(Settings.hint(path))", at: value.line, value.column, about: key, Settings.meant(path))
    }

    private mutating func take(_ value: TOMLDocument.Value, _ entry: SettingEntry) {
        if case .table = entry.form, value.type == "table" {
            tables[entry.key] = (tables[entry.key]?.values ?? [:], value.line, value.column)
            return
        }
        let (raw, unset) = read(value, entry.form)
        guard let setting = entry.form.value(of: raw) else {
            // What the file has, never what comes from the environment.
            let found = entry.isSecret ? "" : ", not \(value.shown)"
            let text = "\(entry.key) must be \(entry.form.wanted())\(found)\(unset)"
            return note(text, at: value.line, value.column, about: entry.key)
        }
        values.append((entry, setting, value.line, value.column))
        guard let unused = entry.unused, setting != entry.defaultValue else { return }
        notes.append(Mistake(path: path, line: value.line, column: value.column, text: "\(entry.key) has no effect: \(unused)"))
    }

    /// The value, and which variables are not set, for a message.
    private func read(_ value: TOMLDocument.Value, _ form: SettingForm) -> (raw: SettingForm.Raw, unset: String) {
        guard value.type == "string" else { return (value.raw(in: environment), "") }
        let substitution = Substitution(value.text, in: environment)
        let unset = substitution.missing.isEmpty ? "" : "; not set: \(substitution.missing.joined(separator: ", "))"
        let raw = substitution.isChanged ? form.raw(substitution.text) : .text(substitution.text)
        return (raw, unset)
    }

    private mutating func takeTable(_ value: TOMLDocument.Value, _ table: [String], _ name: [String]) {
        guard value.type != "table" else { return }
        let key = table.joined(separator: ".")
        let name = name.joined(separator: ".")
        guard case .table(let forms) = Settings.entry(key)?.form else { return }
        guard let form = forms[name] else {
            let hint = Self.hint(name, among: forms.keys.sorted(), in: key)
            return note("there is no key \(key).\(name)\(hint)", at: value.line, value.column, about: key)
        }
        let (raw, unset) = read(value, form)
        guard form.value(of: raw) != nil, let json = raw.json else {
            let text = "\(key).\(name) must be \(form.wanted()), not \(value.shown)\(unset)"
            return note(text, at: value.line, value.column, about: key)
        }
        tables[key, default: ([:], value.line, value.column)].values[name] = json
    }

    /// The name that was meant, of the table that the wrong one stands in, or of the nearest around it that there is; else all
    /// that is in there.
    private static func hint(_ wrong: String, among names: [String], in table: String) -> String {
        let parts = wrong.split(separator: ".", omittingEmptySubsequences: false)
        let known = names.map { $0.split(separator: ".") }
        var depth = parts.count - 1
        func inner() -> [ArraySlice<Substring>] {
            known.filter { $0.count > depth && $0.starts(with: parts[..<depth]) }.map { $0.dropFirst(depth) }
        }
        while depth > 0, inner().isEmpty { depth -= 1 }
        let section = ([table] + parts[..<depth].map(String.init)).joined(separator: ".")
        let rest = parts[depth...].joined(separator: ".")
        if let meant = Nearest.name(to: rest, among: inner().map { $0.joined(separator: ".") }) {
            return "; did you mean \(section).\(meant)?"
        }
        return "; [\(section)] has \(Set(inner().compactMap(\.first)).sorted().joined(separator: ", "))"
    }
}

extension TOMLDocument.Fault {
    /// The parser's words, or the reason behind them where one is likely.
    fileprivate func text(at line: Substring) -> String {
        if line.contains(/^[^"'#]*=[^"'#]*\$\{/) {
            return "\(text): put ${…} in quotes; it is read as a number where one is wanted"
        }
        return text.isEmpty ? "this cannot be read" : text
    }
}
