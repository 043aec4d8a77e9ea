import CommandLineTool
import Foundation
import SQLText
import SiloCore

/// Statements at a terminal, one after another, until somebody leaves. On the main thread, which waits for keys; what runs
/// meanwhile runs elsewhere.
@MainActor
final class Prompt {
    var place: QueryPlace
    var shape: ResultShape
    var sink = ResultSink.standard
    var isTimed = false
    /// The one that ran last; `\watch` and `\save` mean it.
    var last: QueryStatement?
    let schema = QuerySchema()
    let interrupt = Interrupt()
    private let server: String
    private let history = QueryHistory()
    private let editor: LineEditor
    private var keepsHistory = true
    private var isOver = false
    private let clock = SystemClock()

    init(_ place: QueryPlace, _ shape: ResultShape, server: String) throws(Failure) {
        self.place = place
        self.shape = shape
        self.server = server
        editor = try LineEditor(linesMax: QueryHistory.entriesMax)
    }

    func run() async throws {
        say(["Asking \(server). End statements with ; — \\? shows what else there is."])
        do { for line in try history.load() { editor.remember(line) } } catch { giveUpHistory("\(error)") }
        schema.learnMeanwhile(at: place)
        var pending = ""
        while !isOver {
            let waiting = pending
            editor.complete = { [schema] before, after in
                let saved = (try? SavedQueries())?.all.map(\.name) ?? []
                return QueryCompletion(schema: schema, saved: saved, earlier: waiting).offer(before, after)
            }
            interrupt.forget()
            switch editor.read(prompt(pending)) {
            case .ended:
                Output.write("\n")
                return
            case .broken: pending = ""
            case .line(let line):
                let habit = PromptCommand.habit(line)
                if let habit, pending.isEmpty {
                    remember(line)
                    await attempt { try await self.command(habit, self.last) }
                    break
                }
                if habit == "\\q" { say(["Ctrl-C forgets the statement that is begun; \\q then leaves"]) }
                pending = await take(pending.isEmpty ? line : pending + "\n" + line)
                if pending.utf8.count > QueryStatement.bytesMax {
                    complain("Error: the statement is larger than 1 MiB, and forgotten")
                    pending = ""
                }
            }
            fflush(nil)
        }
    }

    private func prompt(_ pending: String) -> String {
        let name = "silo" + (place.tenant.map { "[\($0.printable.cut(toColumns: 20))]" } ?? "")
        guard !pending.isEmpty else { return "\(name)> " }
        let open = SQLPieces(pending).pieces.last { $0.isOpen }
        let mark =
            switch open?.kind {
            case .text: "'"
            case .name: "\""
            case .comment: "*"
            default: "-"
            }
        return String(repeating: " ", count: name.columns - 1) + mark + "> "
    }

    /// Runs every statement and command that is complete, and returns what is not.
    private func take(_ text: String) async -> String {
        var rest = text
        while !isOver {
            let pieces = SQLPieces(rest)
            guard let end = pieces.firstEnd else { return pieces.isBlank && pieces.pieces.last?.isOpen != true ? "" : rest }
            let before = pieces.text(0..<end.range.lowerBound)
            if pieces.text(end) == ";" {
                rest = pieces.text(end.range.upperBound..<pieces.bytes.count)
                remember(SQLPieces(before).oneLine + ";")
                // One that is empty is nothing.
                if !SQLPieces(before).isBlank { await attempt { try await self.show(QueryStatement(before)) } }
            } else {
                let line = pieces.text(end.range.lowerBound..<pieces.bytes.count).split(separator: "\n", maxSplits: 1)
                rest = line.count > 1 ? String(line[1]) : ""
                remember([SQLPieces(before).oneLine, String(line[0])].filter { !$0.isEmpty }.joined(separator: " "))
                let own = QueryStatement(before.trimmingCharacters(in: .whitespacesAndNewlines))
                let statement = SQLPieces(before).isBlank ? last : own
                await attempt { try await self.command(String(line[0]), statement) }
            }
        }
        return ""
    }

    /// Mistakes and failures are said, and the prompt goes on; Ctrl-C ends the whole of it, wherever it stands.
    private func attempt(_ body: @escaping @MainActor @Sendable () async throws -> Void) async {
        do { try await interrupt.whileRunning(body) } catch is Interrupt.Cancelled { complain("Cancelled") } catch {
            complain("Error: \("\(error)".printableLines)")
        }
    }

    private func command(_ line: String, _ statement: QueryStatement?) async throws {
        let (command, operands) = try PromptCommand.read(line)
        if command.action == .quit {
            isOver = true
            return
        }
        try await perform(command.action, operands, statement)
    }

    // MARK: Statements

    /// Runs a statement and shows its rows.
    func show(_ statement: QueryStatement) async throws {
        last = statement
        let begun = clock.steady
        let answer = try await answer(statement)
        let milliseconds = clock.steady.milliseconds - begun.milliseconds
        var shape = shape
        if sink.path == nil {
            shape.width = Output.terminalWidth
        } else {
            (shape.width, shape.isColored) = (nil, false)
        }
        try sink.write(try shape.text(of: answer))
        answer.complain()
        if let path = sink.path { say([Line("\(Words.count(answer.rows.count, "row")) written to \(path)", .quiet)]) }
        if isTimed { say([Line("Time: \(Words.length(milliseconds))", .quiet)]) }
        if !schema.isKnown { schema.learnMeanwhile(at: place) }
    }

    private func answer(_ statement: QueryStatement) async throws -> QueryAnswer {
        do {
            return try await place.ask(statement)
        } catch let failure as Failure {
            throw Fault(description: StatementFault(failure, statement.sql).text)
        }
    }

    /// A failure in several lines.
    private struct Fault: Error, CustomStringConvertible { let description: String }

    // MARK: What is shown and kept

    func say(_ lines: [Line]) {
        Output.write(lines.map { $0.text(isColored: shape.isColored) + "\n" }.joined())
        fflush(nil)
    }

    /// After what was said before.
    func complain(_ text: String) {
        fflush(nil)
        Program.complain(text)
    }

    private func remember(_ entry: String) {
        guard entry != ";" else { return }
        editor.remember(entry)
        guard keepsHistory else { return }
        do { try history.append(entry) } catch { giveUpHistory("\(error)") }
    }

    private func giveUpHistory(_ reason: String) {
        keepsHistory = false
        Program.complain("What is typed here is not kept: \(reason.printable)")
    }
}
