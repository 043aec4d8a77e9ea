/// What a program takes from its command line: enough to read it and to explain it.
public struct Usage: Sendable {
    /// One option, such as `-a, --address <url>`; without a placeholder it is a switch.
    public struct Option: Sendable {
        let name: String
        let letter: Character?
        let placeholder: String?
        let isList: Bool
        let help: String

        /// - Parameters:
        ///   - name: without the dashes.
        ///   - placeholder: names the value; nil for a switch.
        ///   - isList: it may be given several times, or once with commas between its values.
        public init(
            _ name: String, _ letter: Character? = nil, _ placeholder: String? = nil, isList: Bool = false, help: String
        ) {
            self.name = name
            self.letter = letter
            self.placeholder = placeholder
            self.isList = isList
            self.help = help
        }

        fileprivate var title: String {
            let names = (letter.map { "-\($0), " } ?? "    ") + "--\(name)"
            return names + (placeholder.map { " <\($0)>" } ?? "")
        }
    }

    /// One command, such as `job get <shard> <id>`.
    public struct Command: Sendable {
        public let name: String
        let operands: [String]
        let help: String
        let details: String
        let options: [Option]

        /// - Parameters:
        ///   - name: its words; empty for a program with no commands.
        ///   - operands: what must follow, in order.
        ///   - details: what only its own help says.
        public init(_ name: String, _ operands: [String] = [], help: String, details: String = "", options: [Option] = []) {
            self.name = name
            self.operands = operands
            self.help = help
            self.details = details
            self.options = options
        }

        fileprivate var words: [Substring] { name.split(separator: " ") }
        var title: String { ([name] + operands.map { "<\($0)>" }).filter { !$0.isEmpty }.joined(separator: " ") }
    }

    let program: String
    let summary: String
    let commands: [Command]
    let options: [Option]
    let notes: String

    public init(_ program: String, _ summary: String, commands: [Command], options: [Option] = [], notes: String = "") {
        self.program = program
        self.summary = summary
        self.commands = commands
        self.options = options
        self.notes = notes
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

    /// The help text: of one command, or of those that begin with `words`, or of the program.
    func help(_ command: Command?, _ words: [String] = []) -> String {
        var lines = [summary, ""]
        let main = commands.first { $0.name.isEmpty }
        let options = (command ?? main).map(\.options) ?? []
        if let command {
            lines += ["usage: \(program) \(command.title) [options]", "", command.help]
            if !command.details.isEmpty { lines += ["", command.details] }
        } else {
            if let main {
                lines += ["usage: " + [program, main.title, "[options]"].filter { !$0.isEmpty }.joined(separator: " ")]
            }
            let named = commands.filter { !$0.name.isEmpty }
            let asked = named.filter { $0.words.map(String.init).starts(with: words) }
            if !named.isEmpty {
                lines += [(main == nil ? "usage: " : "       ") + "\(program) <command> [options]", "", "commands:"]
                lines += table((asked.isEmpty ? named : asked).map { ($0.title, $0.help) })
            }
        }
        lines += ["", "options:"] + table((options + self.options + Usage.everywhere).map { ($0.title, $0.help) })
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
