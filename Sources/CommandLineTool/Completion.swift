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
    func completion(of words: [String]) async -> Completion {
        let current = words.last ?? ""
        let line = read(words.dropLast())
        if line.isLost { return .words([]) }
        if let option = line.unfinished { return await values(of: option, current, line) }
        guard current.hasPrefix("-"), !line.hasOnlyOperands else { return await nextWords(line, current) }
        if current.hasPrefix("--"), let sign = current.firstIndex(of: "=") {
            guard let option = ownOption(String(current[..<sign]), of: command(line.words)) else { return .words([]) }
            let value = String(current[current.index(after: sign)...])
            return await values(of: option, value, line, after: String(current[...sign]))
        }
        let free = options(of: line.words).filter { option in option.isList || line.given[option.name] == nil }
        return .words(Self.matching(current, free.map { .init(text: "--\($0.name)", help: $0.help) }))
    }

    private struct Line {
        var words: [String] = []
        var given: [String: [String]] = [:]
        /// Wants its value next.
        var unfinished: Option?
        var hasOnlyOperands = false
        /// The last word is an option that the command has not: nobody knows what belongs behind it.
        var isLost = false
    }

    /// The words before the cursor. What is wrong in them is passed over.
    private func read(_ words: ArraySlice<String>) -> Line {
        var line = Line()
        for word in words {
            line.isLost = false
            if let option = line.unfinished {
                line.given[option.name, default: []].append(word)
                line.unfinished = nil
            } else if line.hasOnlyOperands || word == "-" || !word.hasPrefix("-") {
                line.words.append(word)
            } else if word == "--" {
                line.hasOnlyOperands = true
            } else if let option = ownOption(String(word.prefix { $0 != "=" }), of: command(line.words)) {
                let wantsValue = option.placeholder != nil && !option.isValueOptional && !word.contains("=")
                if wantsValue { line.unfinished = option }
                let value = word.firstIndex(of: "=").map { [String(word[word.index(after: $0)...])] }
                line.given[option.name, default: []] += value ?? []
            } else {
                line.isLost = !word.contains("=")
            }
        }
        return line
    }

    /// Those of the command, or of all that the words begin.
    func options(of words: [String]) -> [Option] {
        var found = command(words)?.options ?? []
        if found.isEmpty, command(words) == nil, !words.isEmpty { found = commands(beginningWith: words).flatMap(\.options) }
        var seen: Set<String> = []
        return (found + options + Usage.everywhere).filter { seen.insert($0.name).inserted }
    }

    private func nextWords(_ line: Line, _ current: String) async -> Completion {
        let words = line.words
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
        return .words(Self.matching(current, candidates + (await choices(places[index], line))))
    }

    private func values(of option: Option, _ current: String, _ line: Line, after prefix: String = "") async -> Completion {
        let placeholder = option.placeholder ?? ""
        if ["file", "folder", "place"].contains(placeholder) { return .files }
        if let values = option.values {
            return .words(Self.matching(current, values().map { .init(text: $0, help: "") }, prefix))
        }
        return .words(Self.matching(current, await choices(placeholder, line), prefix))
    }

    private func choices(_ placeholder: String, _ line: Line) async -> [Completion.Candidate] {
        guard !placeholder.contains("|") else {
            return placeholder.split(separator: "|").map { .init(text: String($0), help: "") }
        }
        let arguments = Arguments(
            command: command(line.words)?.name ?? "", operands: [], optionalOperand: nil, values: line.given)
        return await liveValues?(placeholder, arguments).map { .init(text: $0, help: "") } ?? []
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
