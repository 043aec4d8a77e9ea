import SQLText

/// What may stand at the cursor of a statement or a command of the prompt.
struct QueryCompletion {
    let schema: QuerySchema
    let saved: [String]
    /// The lines of the statement before this one.
    let earlier: String

    func offer(_ before: String, _ after: String) -> LineEditor.Offer {
        if SQLPieces(earlier).isBlank, before.first == "\\" { return command(before) }
        let pieces = SQLPieces(earlier + "\n" + before)
        guard let last = pieces.pieces.last, !last.isOpen, last.kind != .text, last.kind != .name else { return .init() }
        let typed = last.kind == .word ? pieces.text(last) : ""
        let words = (typed.isEmpty ? pieces.meaning : pieces.meaning.dropLast()).map { pieces.text($0) }
        let sources = Sources(of: SQLPieces(earlier + "\n" + before + after))
        return offer(typed, candidates(typed, behind: words, sources))
    }

    private func candidates(_ typed: String, behind words: [String], _ sources: Sources) -> [String] {
        guard let previous = words.last else { return SQLWords.beginnings.map { Self.cased($0, typed) + " " } }
        if previous == ".", let name = words.dropLast().last {
            return schema.columnNames(of: columnSources(name, sources))
        }
        let clause = words.last { SQLWords.clauses.contains($0.uppercased()) || $0.uppercased() == "JOIN" }?.uppercased()
        if ["FROM", "JOIN"].contains(previous.uppercased()) || previous == "," && clause == "FROM" {
            return (SQLTable.all.map(\.name) + sources.common).map { $0 + " " }
        }
        let tables = sources.tables.map(\.table)
        let columns = schema.columnNames(of: tables.isEmpty ? nil : tables)
        // Nothing typed: everything there is would be no help.
        guard !typed.isEmpty else { return tables.isEmpty ? [] : columns }
        let functions = SQLWords.functions.map { $0 + "(" }
        return columns + sources.tables.map(\.alias) + functions + SQLWords.keywords.map { Self.cased($0, typed) + " " }
    }

    /// The tables of which a column may be that stands behind `name.`; nil: all there are.
    private func columnSources(_ name: String, _ sources: Sources) -> [String]? {
        if let table = sources.table(of: name) { return [table] }
        // An alias whose FROM is still to be typed may stand for any.
        let isTable = SQLTable.all.contains { $0.name == name.lowercased() }
        return isTable || !sources.tables.isEmpty ? [name.lowercased()] : nil
    }

    private func offer(_ typed: String, _ candidates: [String]) -> LineEditor.Offer {
        var seen: Set<String> = []
        let fitting = candidates.filter { $0.lowercased().hasPrefix(typed.lowercased()) && seen.insert($0.lowercased()).inserted }
        return .init(typed: typed, candidates: fitting.sorted())
    }

    /// Keywords in the case in which one types.
    private static func cased(_ keyword: String, _ typed: String) -> String {
        typed.first?.isLowercase ?? false ? keyword.lowercased() : keyword
    }

    private func command(_ line: String) -> LineEditor.Offer {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count > 1 else { return offer(line, PromptCommand.all.map { "\\\($0.name) " }) }
        guard words.count == 2 else { return .init() }
        let values =
            switch words[0] {
            case "\\d": SQLTable.all.map(\.name)
            case "\\run", "\\save": saved
            case "\\format": ResultFormat.allCases.map(\.rawValue)
            case "\\x": ["on", "off", "auto"]
            case "\\shard": ["all"]
            default: [String]()
            }
        return offer(words[1], values)
    }
}

/// Which tables a statement reads, as far as one sees it.
private struct Sources {
    private(set) var tables: [(table: String, alias: String)] = []
    /// Names that WITH gives.
    private(set) var common: [String] = []

    init(of pieces: SQLPieces) {
        let words = pieces.meaning.map { (text: pieces.text($0), kind: $0.kind) }
        var isInFrom = false
        for (index, word) in words.enumerated() {
            let upper = word.text.uppercased()
            if SQLWords.clauses.contains(upper) { isInFrom = upper == "FROM" }
            let begins = upper == "FROM" || upper == "JOIN" || word.text == "," && isInFrom
            if begins, index + 1 < words.count, Self.isName(words[index + 1]) {
                tables.append((words[index + 1].text.lowercased(), Self.alias(words, index + 1)))
            }
            if upper == "AS", index > 0, index + 1 < words.count, words[index + 1].text == "(" {
                common.append(words[index - 1].text)
            }
        }
    }

    func table(of alias: String) -> String? { tables.first { $0.alias == alias.lowercased() }?.table }

    private static func isName(_ word: (text: String, kind: SQLPieces.Kind)) -> Bool {
        word.kind == .word && !SQLWords.keywords.contains(word.text.uppercased())
    }

    private static func alias(_ words: [(text: String, kind: SQLPieces.Kind)], _ index: Int) -> String {
        var next = index + 1
        if next < words.count, words[next].text.uppercased() == "AS" { next += 1 }
        return (next < words.count && isName(words[next]) ? words[next] : words[index]).text.lowercased()
    }
}
