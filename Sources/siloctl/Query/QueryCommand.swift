import CommandLineTool
import Foundation
import SiloAPI
import SiloCore

/// `query`: an SQL statement over all shards or one of them, or a prompt for many statements.
struct QueryCommand {
    let arguments: Arguments
    let output: Output

    static let details = """
        Over all shards of the addressed server; over one of them with --shard, or with its id before the statement. Without a
        statement it is read from the standard input, and at a terminal there is a prompt, whose \\? shows what it can do. --file
        has one in a file, and --saved one that has a name: `siloctl query --saved backlog`.

        --json prints one object with columns and rows, --jsonl each row as an object on a line of its own, --csv a header and
        rows as RFC 4180 has them, NULL as nothing and an empty text as "". Without them a table is printed, which fits the
        terminal.

        \(SavedQueries.help)

        Names that are always there: \(SavedQuery.builtIn.map(\.name).joined(separator: ", ")).
        """

    static let options: [Usage.Option] = [
        .init("shard", nil, "shard", help: "only over this one"),
        .init("partial", help: "of all shards: leave out those that do not answer, and say which"),
        .init("param", "p", "value", isList: true, help: SiloV1.QueryParameter.help),
        .init("file", "f", "file", help: "read the statement from this file, or with - from the standard input"),
        .init(
            "saved", nil, "name", help: "run the statement that is saved under this name",
            values: { (try? SavedQueries())?.all.map(\.name) ?? [] }),
        .init("csv", help: "print CSV"),
        .init("jsonl", help: "print JSON, a row on each line"),
        .init("arrow", nil, "file", help: "save the rows as an Arrow IPC stream; - for the standard output"),
        .init("expanded", "x", help: "print the columns of a row below each other"),
    ]

    func run() async throws {
        let shapes = ["csv", "jsonl", "expanded"].filter(arguments.has)
        if arguments.has("arrow"), let shape = shapes.first {
            throw Arguments.Mistake("--arrow and --\(shape) exclude each other: give one of them")
        }
        let (shard, operand) = try operands()
        var shape = ResultShape(format: try ResultFormat(arguments))
        if arguments.has("expanded") { shape.expansion = .on }
        if Output.isTerminal { shape.width = Output.terminalWidth }
        shape.isColored = output.isColored
        let statement = try QueryStatement(arguments, operand)
        if let statement { try statement.checkParameters() }
        let place = QueryPlace(
            server: try Server(arguments), tenant: try ServerPlace.tenant(arguments), shard: shard,
            allowsPartial: arguments.has("partial"))
        guard let statement else {
            guard Output.isTerminal else {
                throw Arguments.Mistake(
                    "\(QueryStatement.isNeeded); the prompt is for terminals, and the standard output is none")
            }
            return try await Prompt(place, shape, server: try ServerPlace(arguments).address).run()
        }
        do {
            if let path = arguments.text("arrow") {
                let export = ArrowExport(output: output, path: path)
                return try await export.run(place.request(statement), at: try await place.holder())
            }
            let answer = try await place.ask(statement)
            try ResultSink.standard.write(try shape.text(of: answer))
            answer.complain()
        } catch let failure as Failure {
            throw Program.Failure("Error: \(StatementFault(failure, statement.sql).text)")
        }
    }

    /// The shard and the statement; a shard's id alone is no statement.
    private func operands() throws -> (shard: String?, sql: String?) {
        let option = arguments.text("shard")
        let first = arguments.operands.first
        guard let before = arguments.optionalOperand ?? first.flatMap({ UUID(uuidString: $0) == nil ? nil : $0 }) else {
            return (option, first)
        }
        guard option == nil else { throw Arguments.Mistake("<shard> and --shard exclude each other: give one of them") }
        return (before, arguments.optionalOperand == nil ? nil : first)
    }
}
