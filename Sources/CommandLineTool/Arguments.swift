/// A command line that was read.
public struct Arguments: Sendable {
    /// The command's name; empty for a program with no commands.
    public let command: String
    /// What follows the command, in order; as many as its usage names, or none where they may be left out.
    public let operands: [String]
    /// What stands before them, where something may.
    public let optionalOperand: String?
    private let values: [String: [String]]

    init(command: String, operands: [String], optionalOperand: String?, values: [String: [String]]) {
        self.command = command
        self.operands = operands
        self.optionalOperand = optionalOperand
        self.values = values
    }

    /// A command line that cannot be followed. Ends the program with code 2.
    public struct Mistake: Error, CustomStringConvertible, Equatable {
        public let description: String
        /// Whose help tells more; nil: of the command that runs.
        let command: String?

        public init(_ text: String) { self.init(text, in: nil) }

        init(_ text: String, in command: String?) {
            description = text
            self.command = command
        }
    }

    /// What a command line asks for.
    public enum Request: Sendable {
        case run(Arguments)
        /// To print this and end well.
        case show(String)
    }

    /// Reads `arguments`, without the program's own name.
    public static func read(_ arguments: [String], _ usage: Usage, version: String) throws(Mistake) -> Request {
        let (words, given) = try split(arguments, usage)
        let command = usage.command(words)
        if given.contains(where: { $0.name == "version" }) { return .show("\(usage.program) \(version)") }
        if given.contains(where: { $0.name == "help" }) {
            return .show(usage.help(command?.name.isEmpty ?? true ? nil : command, words))
        }
        guard let command else { throw unknownCommand(words, usage) }
        let values = try values(of: given, command, usage)
        var operands = Array(words.dropFirst(command.words.count))
        let takesOptional = command.optional != nil && operands.count > command.operands.count
        let optional = takesOptional ? operands.removeFirst() : nil
        let isWhole = operands.count >= command.operands.count || operands.isEmpty && command.mayLackOperands
        guard isWhole else {
            throw Mistake("<\(command.operands[operands.count])> is missing; \(usage.line(command))", in: command.name)
        }
        guard operands.count <= command.operands.count else {
            throw Mistake("unexpected argument \(operands[command.operands.count]); \(usage.line(command))", in: command.name)
        }
        return .run(Arguments(command: command.name, operands: operands, optionalOperand: optional, values: values))
    }

    private typealias GivenOption = (name: String, value: String?)

    /// The command with its operands, and the options, which may stand anywhere.
    private static func split(
        _ arguments: [String], _ usage: Usage
    ) throws(Mistake) -> (words: [String], options: [GivenOption]) {
        var words: [String] = []
        var given: [GivenOption] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                words += rest
                break
            }
            // A negative number is no option, however large.
            guard argument.hasPrefix("-"), argument != "-", !("0"..."9").contains(argument.dropFirst().prefix(1)) else {
                words.append(argument)
                continue
            }
            let isLong = argument.hasPrefix("--")
            let parts = argument.unicodeScalars.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .map { String($0) }
            let title = isLong ? parts[0] : argument
            // Words that come later may tell the command.
            let allWords = words + rest.filter { !$0.hasPrefix("-") }
            let place = usage.helpName(allWords)
            guard let option = usage.option(title, of: usage.command(allWords)) else {
                let near = usage.nearestOption(to: title, with: allWords).map { "; did you mean \($0)?" } ?? ""
                throw Mistake("unknown option \(title)\(near)", in: place)
            }
            var value: String? = isLong && parts.count == 2 ? parts[1] : nil
            if option.placeholder == nil, value != nil { throw Mistake("\(title) takes no value", in: place) }
            if option.isValueOptional, value == nil {
                if let next = rest.first, Double(next) != nil { value = rest.popFirst() }
            } else if option.placeholder != nil, value == nil {
                guard let next = rest.popFirst() else { throw Mistake("\(title) needs a value", in: place) }
                value = next
            }
            given.append((option.name, value))
        }
        return (words, given)
    }

    private static func unknownCommand(_ words: [String], _ usage: Usage) -> Mistake {
        guard !words.isEmpty else { return Mistake("a command is needed", in: "") }
        let place = usage.helpName(words)
        let given = words.joined(separator: " ")
        if place != given, let near = usage.nearestCommand(to: words) {
            return Mistake("unknown command \(given); did you mean \(near)?", in: near)
        }
        guard !place.isEmpty else { return Mistake("unknown command \(given)", in: place) }
        let beginning = place.split(separator: " ").map(String.init)
        let longer = usage.commands(beginningWith: beginning).map(\.name).joined(separator: ", ")
        guard place == given else { return Mistake("unknown command \(given); there is \(longer)", in: place) }
        return Mistake("\(place) is only the beginning of a command: \(longer)", in: place)
    }

    private static func values(
        of given: [GivenOption], _ command: Usage.Command, _ usage: Usage
    ) throws(Mistake) -> [String: [String]] {
        let allowed = command.options + usage.options
        var values: [String: [String]] = [:]
        for option in given {
            // A command may take several of what others take one of.
            guard let known = allowed.first(where: { $0.name == option.name }) else {
                let name = command.name.isEmpty ? usage.program : command.name
                throw Mistake("--\(option.name) does not belong to \(name)", in: command.name)
            }
            guard let before = values[option.name] else {
                values[option.name] = [option.value ?? ""]
                continue
            }
            guard known.isList, let value = option.value else {
                throw Mistake("--\(option.name) is given twice", in: command.name)
            }
            values[option.name] = before + [value]
        }
        return values
    }

    /// Whether the switch was given.
    public func has(_ name: String) -> Bool { values[name] != nil }

    /// The value of an option; of a list, which may be given several times, all of them with commas between.
    public func text(_ name: String) -> String? { values[name]?.joined(separator: ",") }
    public func text(_ name: String, default value: String) -> String { text(name) ?? value }

    /// Each value of an option that may be given several times, as it was given.
    public func texts(_ name: String) -> [String] { values[name] ?? [] }

    /// A whole number in `range`.
    public func number(_ name: String, default value: Int, in range: ClosedRange<Int>) throws(Mistake) -> Int {
        guard let text = text(name) else { return value }
        guard let number = Int(text), range.contains(number) else {
            let bound =
                range.upperBound == .max ? "of \(range.lowerBound) or more" : "from \(range.lowerBound) to \(range.upperBound)"
            throw Mistake("--\(name) must be a whole number \(bound), not \(text)")
        }
        return number
    }

    /// A decimal number in `range`.
    public func fraction(_ name: String, default value: Double, in range: ClosedRange<Double>) throws(Mistake) -> Double {
        guard let text = text(name) else { return value }
        guard let number = Double(text), range.contains(number) else {
            throw Mistake("--\(name) must be a number from \(range.lowerBound) to \(range.upperBound), not \(text)")
        }
        return number
    }
}
