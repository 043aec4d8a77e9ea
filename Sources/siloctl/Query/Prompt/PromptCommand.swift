import Foundation
import SiloCore

/// What the prompt does besides running statements: a line that begins with `\`.
struct PromptCommand: Sendable {
    enum Action: Sendable {
        case describe, watch, timing, expand, save, run, listSaved, output, format, tenant, shard, help, quit
    }
    let name: String
    /// What follows the name, as it is shown.
    let operands: String
    let help: String
    let operandsAllowed: ClosedRange<Int>
    let action: Action

    static let all: [PromptCommand] = [
        .init("d", "[table]", "the tables, or the columns of one", 0...1, .describe),
        .init("watch", "[seconds]", "run the statement again and again (2), until Ctrl-C", 0...1, .watch),
        .init("timing", "", "show how long statements take, or no longer", 0...0, .timing),
        .init("x", "[on|off|auto]", "columns below each other: always, never, or where they are too wide", 0...1, .expand),
        .init("save", "name", "save the statement under a name", 1...1, .save),
        .init("run", "name [value …]", "run a saved statement, with the values of $1, $2, …", 1...65, .run),
        .init("saved", "", "the saved statements", 0...0, .listSaved),
        .init("o", "[file]", "write rows into a file, which is emptied; without it to the terminal again", 0...1, .output),
        .init("format", ResultFormat.names, "how rows are written", 1...1, .format),
        .init("tenant", "[id]", "ask for the rows of one tenant; without it as before there was one", 0...1, .tenant),
        .init("shard", "id|all", "ask one shard, or all", 1...1, .shard),
        .init("?", "", "this list", 0...0, .help),
        .init("q", "", "leave, as quit, exit and Ctrl-D do", 0...0, .quit),
    ]

    /// What other prompts call these.
    private static let habits = [
        "quit": "q", "exit": "q", ".quit": "q", ".exit": "q", "help": "?", ".help": "?", ".tables": "d", "show tables": "d",
        ".schema": "d", "describe": "d", "desc": "d", ".mode": "format", ".output": "o",
    ]

    /// The command that a line means which is written as in other prompts, such as `quit` or `.schema jobs`; nil: it is none. No
    /// statement begins like that.
    static func habit(_ line: String) -> String? {
        let end = CharacterSet.whitespaces.union([";"])
        let words = line.trimmingCharacters(in: end).split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first else { return nil }
        func known(_ count: Int) -> String? { habits[words.prefix(count).joined(separator: " ").lowercased()] }
        let count = known(2) == nil ? 1 : 2
        guard let name = known(count) ?? (first.hasPrefix(".") ? first : nil) else { return nil }
        return (["\\\(name)"] + words.dropFirst(count)).joined(separator: " ")
    }

    private init(_ name: String, _ operands: String, _ help: String, _ allowed: ClosedRange<Int>, _ action: Action) {
        (self.name, self.operands, self.help, operandsAllowed, self.action) = (name, operands, help, allowed, action)
    }

    var title: String { operands.isEmpty ? "\\\(name)" : "\\\(name) \(operands)" }

    /// Reads a line, from its `\` on.
    /// - Throws: when there is no such command, or it takes other operands.
    static func read(_ line: String) throws(Failure) -> (command: PromptCommand, operands: [String]) {
        let words = try words(line.dropFirst())
        let name = words.first ?? ""
        guard let command = all.first(where: { $0.name == name }) else {
            let near = Nearest.name(to: name, among: all.map(\.name)).map { "; did you mean \\\($0)?" } ?? ";"
            throw Failure("there is no \\\(name)\(near) \\? lists what there is")
        }
        let operands = Array(words.dropFirst())
        guard command.operandsAllowed.contains(operands.count) else { throw Failure("it is written \(command.title)") }
        return (command, operands)
    }

    /// Words with blanks between them, unless they are in single quotes.
    private static func words(_ text: Substring) throws(Failure) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for letter in text {
            if letter == "'" {
                isQuoted.toggle()
                word = word ?? ""
            } else if letter.isWhitespace, !isQuoted {
                if let whole = word { words.append(whole) }
                word = nil
            } else {
                word = (word ?? "") + String(letter)
            }
        }
        guard !isQuoted else { throw Failure("a quote does not end") }
        return word.map { words + [$0] } ?? words
    }
}
