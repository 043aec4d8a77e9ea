/// A text file of commands, each followed by what it should print:
///
///     # L17: a comment says what is shown, and names the invariants.
///     open
///
///     enqueue a limits=x:1
///     ----
///     a: ready, holds x
///
/// The first lines say how the shard is opened; with several, the whole file is run once for each, and prints the same. A command
/// may have more lines of input. Its output ends at an empty line.
struct Scenario {
    /// One command with its output.
    struct Block {
        /// Of its first line, from 1.
        let line: Int
        let input: [Substring]
        /// Nil: it has no `----` yet.
        let output: [String]?
    }

    /// The `open` lines.
    private(set) var openings: [Block] = []
    private(set) var blocks: [Block] = []
    /// The number of lines.
    let end: Int
    /// The file in pieces: lines that stay as they are, and the places of the blocks.
    private var pieces: [Piece] = []
    private enum Piece {
        case text(Substring)
        case block(Int)
    }

    init(_ text: String) throws(ScenarioError) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        end = lines.count
        var index = 0
        while index < lines.count {
            let first = lines[index]
            if first.isEmpty || first.hasPrefix("#") {
                pieces.append(.text(first))
                index += 1
            } else if blocks.isEmpty, first == "open" || first.hasPrefix("open ") {
                openings.append(Block(line: index + 1, input: [first], output: nil))
                pieces.append(.text(first))
                index += 1
            } else {
                pieces.append(.block(blocks.count))
                blocks.append(Self.block(lines, &index))
            }
        }
        guard lines[0].hasPrefix("# ") else {
            throw ScenarioError(line: 1, "a scenario begins with a comment that says what it shows")
        }
        guard !openings.isEmpty else {
            throw ScenarioError(line: blocks.first?.line ?? end, "`open` comes before the first command")
        }
        guard !blocks.isEmpty else { throw ScenarioError(line: end, "there are no commands") }
    }

    private static func block(_ lines: [Substring], _ index: inout Int) -> Block {
        let paragraph = lines[index...].prefix { !$0.isEmpty }
        defer { index = paragraph.endIndex }
        let input = paragraph.prefix { $0 != separator }
        let output = paragraph.dropFirst(input.count + 1).map(String.init)
        return Block(line: index + 1, input: Array(input), output: input.count == paragraph.count ? nil : output)
    }

    /// The file with other outputs; those that are missing stay as they are.
    func text(with outputs: [[String]]) -> String {
        pieces.flatMap { piece -> [String] in
            switch piece {
            case .text(let line): return [String(line)]
            case .block(let index):
                let output = index < outputs.count ? outputs[index] : blocks[index].output
                return blocks[index].input.map(String.init) + (output.map { [Self.separator] + $0 } ?? [])
            }
        }.joined(separator: "\n")
    }

    private static let separator = "----"
}

/// What is wrong with a scenario, and where.
struct ScenarioError: Error, Equatable {
    let line: Int
    let text: String

    init(line: Int, _ text: String) {
        self.line = line
        self.text = text
    }
}
