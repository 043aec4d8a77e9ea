import CommandLineTool
import Foundation
import SQLText
import SiloAPI
import SiloCore

extension Prompt {
    private static let watchSeconds = 2.0
    private static let watchRange = 0.1...86_400

    /// Does what a command says.
    /// - Parameter statement: the one that stands before the command, or the last one.
    func perform(_ action: PromptCommand.Action, _ operands: [String], _ statement: QueryStatement?) async throws {
        switch action {
        case .describe: try await describe(operands.first)
        case .watch: try await watch(operands.first, statement)
        case .timing:
            isTimed.toggle()
            say(["How long statements take is \(isTimed ? "shown" : "not shown")"])
        case .expand: try expand(operands.first)
        case .save: try save(operands[0], statement)
        case .run: try await runSaved(operands)
        case .listSaved: try listSaved()
        case .output: try redirect(operands.first)
        case .format: try format(operands[0])
        case .tenant:
            var other = place
            other.tenant = operands.first
            _ = try await other.holder()
            place = other
            say([operands.first.map { "Rows of the tenant \($0)" } ?? "No tenant is named"])
        case .shard: try await shard(operands[0])
        case .help: say(Table.lines(nil, PromptCommand.all.map { [Line($0.title), Line($0.help)] }))
        case .quit: break
        }
    }

    private func describe(_ table: String?) async throws {
        guard let table else {
            return say(Table.lines(["Table", "What it has"], SQLTable.all.map { [Line($0.name), Line($0.about)] }))
        }
        // What is no name might be a statement of its own.
        let isName = table.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
        guard isName else { throw Failure("there is no table \(table)") }
        let columns = try await schema.learn(table.lowercased(), at: place)
        say(Table.lines(["Column", "Type"], columns.map { [Line($0.name), Line($0.shortType)] }))
    }

    /// Ctrl-C ends it well; a server that does not answer is asked again.
    private func watch(_ seconds: String?, _ statement: QueryStatement?) async throws {
        guard let pause = seconds.map({ Double($0) }) ?? Self.watchSeconds, Self.watchRange.contains(pause) else {
            let range = "\(Self.watchRange.lowerBound) to \(Int(Self.watchRange.upperBound))"
            throw Failure("\\watch takes seconds from \(range), not \(seconds ?? "")")
        }
        guard let statement else { throw Failure("there is no statement yet that could be watched") }
        var hasShown = false
        while !Task.isCancelled {
            let now = Times(isUTC: false, now: SystemClock().now.milliseconds)
            say([Line("Every \(pause == pause.rounded() ? "\(Int(pause))" : "\(pause)") s: \(now.moment(now.now))", .quiet)])
            do {
                try await show(statement)
                hasShown = true
            } catch {
                if Task.isCancelled { break }
                guard hasShown else { throw error }
                complain("Error: \("\(error)".printableLines)")
            }
            fflush(nil)
            try? await SystemClock().sleep(milliseconds: Int64(pause * 1000))
        }
        say([""])
    }

    private func expand(_ word: String?) throws(Failure) {
        guard let word else {
            shape.expansion = shape.expansion == .on ? .auto : .on
            return say(["Expanded: \(shape.expansion.rawValue)"])
        }
        guard let expansion = ResultShape.Expansion(rawValue: word) else {
            throw Failure("\\x takes on, off or auto, not \(word)")
        }
        shape.expansion = expansion
        say(["Expanded: \(word)"])
    }

    private func format(_ word: String) throws(Failure) {
        guard let format = ResultFormat(rawValue: word) else {
            throw Failure("there is no format \(word): \(ResultFormat.names.replacing("|", with: ", "))")
        }
        shape.format = format
        say(["Rows are written as \(word)"])
    }

    private func redirect(_ path: String?) throws(Failure) {
        sink = try path.map { path throws(Failure) in try ResultSink(path) } ?? .standard
        say([path.map { "Rows go into \($0)" } ?? "Rows go to the terminal"])
    }

    private func shard(_ id: String) async throws {
        if id == "all" {
            place.shard = nil
        } else {
            _ = try await place.server.owner(of: id)
            place.shard = id
        }
        say([id == "all" ? "All shards are asked" : "The shard \(id) is asked"])
    }

    // MARK: Saved statements

    private func save(_ name: String, _ statement: QueryStatement?) throws {
        guard let statement else { throw Failure("there is no statement yet that could be saved") }
        let saved = try SavedQueries()
        try saved.save(name, statement.sql.trimmingCharacters(in: .whitespacesAndNewlines))
        say(["Saved as \(name) in \(saved.path)"])
    }

    private func runSaved(_ operands: [String]) async throws {
        let query = try SavedQueries().query(operands[0])
        do {
            try await show(QueryStatement(query.sql, try operands.dropFirst().map(SiloV1.QueryParameter.init(typed:))))
        } catch let mistake as Arguments.Mistake {
            throw Failure(mistake.description.replacing("--param ", with: ""))
        }
    }

    private func listSaved() throws {
        let rows = try SavedQueries().all.map {
            [Line($0.name), Line($0.isBuiltIn ? "built in" : "own", .quiet), Line($0.about)]
        }
        say(Table.lines(["Name", "", "What it answers"], rows))
    }
}

extension QueryAnswer.Column {
    /// The type without what it is made of.
    fileprivate var shortType: String { String(type.prefix { $0 != "(" }) }
}
