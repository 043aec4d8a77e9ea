/// What a shell may offer for the word at its cursor.
enum Completion: Equatable {
    struct Candidate: Equatable {
        let text: String
        let help: String
    }
    case words([Candidate])
    case files

    /// What the scripts of the shells read: a candidate on each line with its help behind a tab, or `:files`.
    var text: String {
        switch self {
        case .files: ":files"
        case .words(let candidates): candidates.map { "\($0.text)\t\($0.help.line.printable)" }.joined(separator: "\n")
        }
    }
}

extension Usage {
    /// Answers a shell that completes a line, by the table that the line will be read with.
    /// - Parameter words: those up to the cursor, without the program; the last one is begun, and may be empty.
    func completion(of words: [String]) -> Completion {
        let current = words.last ?? ""
        let line = read(words.dropLast())
        if let option = line.unfinished { return values(of: option, current) }
        guard current.hasPrefix("-"), !line.hasOnlyOperands else { return nextWords(line.words, current) }
        if current.hasPrefix("--"), let sign = current.firstIndex(of: "=") {
            guard let option = option(String(current[..<sign]), of: command(line.words)) else { return .words([]) }
            return values(of: option, String(current[current.index(after: sign)...]), after: String(current[...sign]))
        }
        let free = options(of: line.words).filter { option in option.isList || !line.given.contains(option.name) }
        return .words(Self.matching(current, free.map { .init(text: "--\($0.name)", help: $0.help) }))
    }

    private struct Line {
        var words: [String] = []
        var given: Set<String> = []
        /// Wants its value next.
        var unfinished: Option?
        var hasOnlyOperands = false
    }

    /// The words before the cursor. What is wrong in them is passed over.
    private func read(_ words: ArraySlice<String>) -> Line {
        var line = Line()
        for word in words {
            if line.unfinished != nil {
                line.unfinished = nil
            } else if line.hasOnlyOperands || word == "-" || !word.hasPrefix("-") {
                line.words.append(word)
            } else if word == "--" {
                line.hasOnlyOperands = true
            } else if let option = option(String(word.prefix { $0 != "=" }), of: command(line.words)) {
                line.given.insert(option.name)
                let wantsValue = option.placeholder != nil && !option.isValueOptional && !word.contains("=")
                if wantsValue { line.unfinished = option }
            }
        }
        return line
    }

    /// Those of the command, or of all that the words begin.
    private func options(of words: [String]) -> [Option] {
        var found = command(words)?.options ?? []
        if found.isEmpty, command(words) == nil, !words.isEmpty { found = commands(beginningWith: words).flatMap(\.options) }
        var seen: Set<String> = []
        return (found + options + Usage.everywhere).filter { seen.insert($0.name).inserted }
    }

    private func nextWords(_ words: [String], _ current: String) -> Completion {
        var candidates: [Completion.Candidate] = []
        for longer in commands(beginningWith: words) where longer.words.count > words.count {
            let word = String(longer.words[words.count])
            guard !candidates.contains(where: { $0.text == word }) else { continue }
            let all = commands(beginningWith: words + [word])
            let rest = all.map { $0.words.dropFirst(words.count + 1).joined(separator: " ") }
            candidates.append(.init(text: word, help: all.count == 1 ? longer.help : rest.joined(separator: ", ")))
        }
        guard let command = command(words) else { return .words(Self.matching(current, candidates)) }
        let places = (command.optional.map { [$0] } ?? []) + command.operands
        let index = words.count - command.words.count
        guard index < places.count else { return .words(Self.matching(current, candidates)) }
        if places[index] == "file" { return .files }
        return .words(Self.matching(current, candidates + Self.choices(places[index])))
    }

    private func values(of option: Option, _ current: String, after prefix: String = "") -> Completion {
        let placeholder = option.placeholder ?? ""
        if ["file", "folder", "place"].contains(placeholder) { return .files }
        let choices = option.values?().map { Completion.Candidate(text: $0, help: "") } ?? Self.choices(placeholder)
        return .words(Self.matching(current, choices, prefix))
    }

    private static func choices(_ placeholder: String) -> [Completion.Candidate] {
        placeholder.contains("|") ? placeholder.split(separator: "|").map { .init(text: String($0), help: "") } : []
    }

    private static func matching(
        _ current: String, _ candidates: [Completion.Candidate], _ prefix: String = ""
    ) -> [Completion.Candidate] {
        candidates.filter { $0.text.hasPrefix(current) }.map { .init(text: prefix + $0.text, help: $0.help) }
    }
}

extension String {
    /// A text that was broken into lines for a table, on one line.
    var line: String { split(whereSeparator: \.isNewline).joined(separator: " ") }
}
