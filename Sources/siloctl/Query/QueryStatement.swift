import CommandLineTool
import Foundation
import SQLText
import SiloAPI
import SiloCore

/// A statement with the values of its `$1`, `$2` and so on.
struct QueryStatement: Sendable {
    let sql: String
    var parameters: [SiloV1.QueryParameter] = []

    /// What a server takes.
    static let bytesMax = 1 << 20
    static let isNeeded = "a statement is needed: as <sql>, by --file or --saved, or on the standard input"

    /// The statement of a command line: in its words, in a file, saved, or on the standard input. Nil: none is named, and
    /// somebody sits at a terminal.
    init?(_ arguments: Arguments, _ operand: String?) throws {
        let sources = ["file", "saved"].filter { arguments.has($0) }.map { "--\($0)" }
        guard sources.count + (operand == nil ? 0 : 1) <= 1 else {
            throw Arguments.Mistake("<sql>, --file and --saved exclude each other: give one of them")
        }
        parameters = try arguments.texts("param").map(SiloV1.QueryParameter.init(typed:))
        if let path = arguments.text("file"), path != "-" {
            sql = try Self.text(try InputFile.read(path, as: "--file", bytesMax: Self.bytesMax), "--file")
        } else if let name = arguments.text("saved") {
            sql = try SavedQueries().query(name).sql
        } else if let operand, operand != "-" {
            sql = operand
        } else {
            let isWanted = operand == "-" || arguments.has("file")
            if !isWanted, isatty(STDIN_FILENO) == 1 { return nil }
            sql = try Self.text(try InputFile.standardInput(), "the standard input")
            guard isWanted || !SQLPieces(sql).isBlank else {
                throw Arguments.Mistake(Self.isNeeded)
            }
        }
    }

    init(_ sql: String, _ parameters: [SiloV1.QueryParameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    /// Refuses values that nothing in the statement asks for: a `$1` in double quotes, which the shell took away, for one.
    func checkParameters() throws(Arguments.Mistake) {
        let pieces = SQLPieces(sql)
        let numbers = pieces.meaning.compactMap { piece -> Int? in
            let text = pieces.text(piece)
            return piece.kind == .word && text.hasPrefix("$") ? Int(text.dropFirst()) : nil
        }
        let most = numbers.max() ?? 0
        guard parameters.count > most else { return }
        let wanted = most == 0 ? "it has no $1" : "the last is $\(most)"
        let times = Words.count(parameters.count, "time")
        throw Arguments.Mistake("--param is given \(times), and the statement does not ask for that: \(wanted)")
    }

    private static func text(_ bytes: [UInt8], _ source: String) throws -> String {
        guard bytes.count <= bytesMax else { throw Failure("\(source): the statement is larger than 1 MiB") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Failure("\(source): the text is not in UTF-8") }
        return text
    }
}

extension SiloV1.QueryParameter {
    static let help = """
        the value of $1, then of $2 and so on: a whole number, a decimal number, true, false, null, or a text;
        text:4711 is a text that looks like a number; so there are int:, float: and bool:
        """

    /// - Throws: when the value is none of the type that stands before it.
    init(typed value: String) throws(Arguments.Mistake) {
        self.init()
        let parts = value.parts(at: ":", atMost: 2)
        guard parts.count == 2, let typed = Self.typed[parts[0]] else {
            self.value = OneOfValue(guessing: value)
            return
        }
        guard let known = typed.read(parts[1]) else {
            throw Arguments.Mistake("--param \(value): behind the colon stands \(typed.wanted)")
        }
        self.value = known
    }

    /// What may stand before a colon, and what must then stand behind it.
    private static var typed: [String: (wanted: String, read: (String) -> OneOfValue?)] {
        [
            "text": ("a text", { .stringValue($0) }),
            "int": ("a whole number of 64 bits", { OneOfValue(wholeNumber: $0) }),
            "float": ("a number", { Double($0).map { .float64Value($0) } }),
            "bool": ("true or false", { Bool($0).map { .boolValue($0) } }),
        ]
    }
}
