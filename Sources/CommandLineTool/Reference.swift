extension Usage {
    /// A page of documentation in Markdown: every command and option, from the table that the command line is read with.
    var reference: String {
        var lines = [
            "<!-- Made by `make docs` from what the program says of itself. Change that. -->", "", "# \(program)", "", summary,
        ]
        if !notes.isEmpty { lines += ["", notes.replacing("\n", with: "\n\n")] }
        for command in commands {
            lines += ["", "## `\([program, command.title].filter { !$0.isEmpty }.joined(separator: " "))`"]
            if !command.help.isEmpty { lines += ["", command.help.sentence] }
            if !command.details.isEmpty { lines += ["", "```", named(command.details), "```"] }
            if !command.options.isEmpty { lines += [""] + Self.table(command.options) }
        }
        lines += ["", commands.count > 1 ? "## Options of every command" : "## Options", ""]
        return (lines + Self.table(options + Usage.everywhere)).joined(separator: "\n")
    }

    private static func table(_ options: [Option]) -> [String] {
        ["| option | |", "|---|---|"] + options.map { option in
            let title = option.title.drop { $0 == " " }.replacing("|", with: "\\|")
            return "| `\(title)` | \(option.help.line.replacing("|", with: "\\|").replacing("<", with: "&lt;")) |"
        }
    }
}

extension String {
    fileprivate var sentence: String { prefix(1).uppercased() + line.dropFirst() + "." }
}
