import SiloCore

/// What a program takes from its command line: enough to read it and to explain it.
public struct Usage: Sendable {
    /// One option, such as `-a, --address <url>`; without a placeholder it is a switch.
    public struct Option: Sendable {
        let name: String
        let letter: Character?
        let placeholder: String?
        let isList: Bool
        let isValueOptional: Bool
        let help: String
        let values: (@Sendable () -> [String])?

        /// - Parameters:
        ///   - name: without the dashes.
        ///   - placeholder: names the value; nil for a switch. Words with `|` between are the values that there are.
        ///   - isList: it may be given several times, or once with commas between its values.
        ///   - isValueOptional: it may stand without its value, which is a number.
        ///   - values: what a shell offers.
        public init(
            _ name: String, _ letter: Character? = nil, _ placeholder: String? = nil, isList: Bool = false,
            isValueOptional: Bool = false, help: String, values: (@Sendable () -> [String])? = nil
        ) {
            self.name = name
            self.letter = letter
            self.placeholder = placeholder
            self.isList = isList
            self.isValueOptional = isValueOptional
            self.help = help
            self.values = values
        }

        var title: String {
            let names = (letter.map { "-\($0), " } ?? "    ") + "--\(name)"
            return names + (placeholder.map { isValueOptional ? " [\($0)]" : " <\($0)>" } ?? "")
        }
    }

    /// One command, such as `job get <shard> <id>`.
    public struct Command: Sendable {
        public let name: String
        let optional: String?
        let operands: [String]
        let mayLackOperands: Bool
        let help: String
        let details: String
        let options: [Option]

        /// - Parameters:
        ///   - name: its words; empty for a program with no commands.
        ///   - optional: what may come before the operands.
        ///   - operands: what must follow, in order. Words with `|` between are the values that there are.
        ///   - mayLackOperands: the operands may be left out, all of them.
        ///   - details: what only its own help says.
        public init(
            _ name: String, optional: String? = nil, _ operands: [String] = [], mayLackOperands: Bool = false, help: String,
            details: String = "", options: [Option] = []
        ) {
            self.name = name
            self.optional = optional
            self.operands = operands
            self.mayLackOperands = mayLackOperands
            self.help = help
            self.details = details
            self.options = options
        }

        var words: [Substring] { name.split(separator: " ") }
        var title: String {
            let operands = operands.map { mayLackOperands ? "[\($0)]" : "<\($0)>" }
            return ([name, optional.map { "[\($0)]" } ?? ""] + operands).filter { !$0.isEmpty }.joined(separator: " ")
        }
    }

    let program: String
    let summary: String
    let commands: [Command]
    let options: [Option]
    let notes: String
    /// What a shell offers where a value of some kind is wanted, which takes a while to find out.
    let liveValues: (@Sendable (_ placeholder: String, _ line: Arguments) async -> [String])?

    /// - Parameter liveValues: gives what may stand in the place of a placeholder, such as `shard`, by the options of the line.
    public init(
        _ program: String, _ summary: String, commands: [Command], options: [Option] = [], notes: String = "",
        liveValues: (@Sendable (_ placeholder: String, _ line: Arguments) async -> [String])? = nil
    ) {
        self.program = program
        self.summary = summary
        self.commands = commands
        self.options = options
        self.notes = notes
        self.liveValues = liveValues
    }

    static let everywhere = [
        Option("help", "h", help: "show this help"),
        Option("version", "V", help: "show the version"),
    ]

    /// The command that `arguments` begin with, the longest name first.
    func command(_ words: [String]) -> Command? {
        commands.filter { command in words.starts(with: command.words.map(String.init)) }
            .max { $0.words.count < $1.words.count }
    }

    /// The option of a title such as `--format` or `-f`; letters mean different things to different commands.
    func option(_ title: String, of command: Command?) -> Option? {
        ((command?.options ?? []) + options + commands.flatMap(\.options) + Usage.everywhere).first { option in
            title == "--\(option.name)" || option.letter.map { title == "-\($0)" } ?? false
        }
    }

    /// The option of a title where it may stand: of the command, when it is known, or of all commands that may come.
    func ownOption(_ title: String, of command: Command?) -> Option? {
        guard let command else { return option(title, of: nil) }
        return (command.options + options + Usage.everywhere).first { option in
            title == "--\(option.name)" || option.letter.map { title == "-\($0)" } ?? false
        }
    }

    /// Those whose names begin with `words`.
    func commands(beginningWith words: [String]) -> [Command] {
        commands.filter { !$0.name.isEmpty && $0.words.map(String.init).starts(with: words) }
    }

    /// The command that `words` begin with, or as much of them as begins some commands: what to ask for help on.
    func helpName(_ words: [String]) -> String {
        if let command = command(words), !command.name.isEmpty { return command.name }
        let beginning = (0...words.count).reversed().first { !commands(beginningWith: Array(words[..<$0])).isEmpty } ?? 0
        return words[..<beginning].joined(separator: " ")
    }

    /// The command, or the beginning of some, that was meant by words of which the first few begin one and the next is unknown.
    func nearestCommand(to words: [String]) -> String? {
        let known = helpName(words).split(separator: " ").map(String.init)
        guard words.count > known.count else { return nil }
        let next = commands(beginningWith: known).compactMap { $0.words.dropFirst(known.count).first.map(String.init) }
        return Nearest.name(to: words[known.count], among: next).map { (known + [$0]).joined(separator: " ") }
    }

    /// The option that was meant by a title that there is not, of those that may stand with `words`.
    func nearestOption(to title: String, with words: [String]) -> String? {
        Nearest.name(to: String(title.drop { $0 == "-" }), among: options(of: words).map(\.name)).map { "--\($0)" }
    }

    /// How a command is written.
    func line(_ command: Command) -> String {
        "usage: " + [program, command.title, "[options]"].filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// The help text: of one command, or of those that begin with `words`, or of the program.
    func help(_ command: Command?, _ words: [String] = []) -> String {
        var lines: [String] = []
        let main = commands.first { $0.name.isEmpty }
        var options = (command ?? main).map(\.options) ?? []
        if let command {
            lines += ["\(program) \(command.name): \(command.help.line)", "", line(command)]
            if !command.details.isEmpty { lines += ["", named(command.details)] }
        } else {
            lines += [summary, ""]
            if let main { lines.append(line(main)) }
            let named = commands(beginningWith: [])
            let asked = words.isEmpty ? [] : commands(beginningWith: words)
            for option in asked.flatMap(\.options) where !options.contains(where: { $0.name == option.name }) {
                options.append(option)
            }
            if !named.isEmpty {
                lines += [(main == nil ? "usage: " : "       ") + "\(program) <command> [options]", "", "commands:"]
                lines += table((asked.isEmpty ? named : asked).map { ($0.title, $0.help) })
            }
        }
        // An option of a command's own takes the place of that of all commands.
        let general = self.options.filter { option in !options.contains { $0.name == option.name } }
        lines += ["", "options:"] + table((options + general + Usage.everywhere).map { ($0.title, $0.help) })
        if !notes.isEmpty { lines += ["", notes] }
        return lines.joined(separator: "\n")
    }

    private func table(_ rows: [(String, String)]) -> [String] {
        let width = min(44, rows.map(\.0.count).max() ?? 0)
        return rows.map { title, text in
            let gap = String(repeating: " ", count: max(0, width - title.count))
            let rest = "\n" + String(repeating: " ", count: width + 4)
            return "  \(title)\(gap)  \(text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: rest))"
        }
    }
}
