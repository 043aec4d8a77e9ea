import CommandLineTool
import Foundation
import SiloAPI
import SiloCore

/// `jobs cancel` and the like: asks what that would be, asks whether it is meant, and has the servers do it.
struct BulkCommands {
    let arguments: Arguments
    let output: Output

    static let details = """
        The condition is what stands after WHERE in SQL over the table jobs, such as

          status_kind = 'Failed' AND task_group = 'mail' AND status_changed_at_ms > now_ms() - 3600000

        without selects of its own. It is about the jobs that are stored when it begins and that meet the condition when
        their turn comes; each is looked at once. First it is said how many that is, and whoever sits at a terminal is asked.
        Then the servers do it by themselves: it goes on when the command is broken off, and when a server starts anew.

        The exit code is 1 when a job was refused, as one that has ended is by jobs cancel; the others are done. A condition on
        status_kind leaves such jobs out.
        """

    static let options: [Usage.Option] = [
        .init("where", nil, "condition", help: "which jobs; needed"),
        .init("shard", nil, "id", help: "of this shard alone (all of the addressed server)"),
        .init("dry-run", help: "only say how many jobs, how they stand, and what that cost to find out"),
        .init("yes", "y", help: "do not ask; needed where there is no terminal to ask at"),
        .init("detach", help: "return as soon as it has begun"),
    ]
    static let untilEnd = Usage.Option("watch", "w", help: "show it until it has ended")

    // MARK: Beginning

    func start(_ kind: SiloV1.BulkActionKind) async throws {
        guard let condition = arguments.text("where") else { throw Arguments.Mistake("--where is missing: which jobs?") }
        var request = SiloV1.StartBulkActionRequest()
        request.kind = kind
        request.condition = condition
        request.tenant = try ServerPlace.tenant(arguments)
        guard arguments.has("yes") || arguments.has("dry-run") || isatty(STDIN_FILENO) == 1 else {
            throw Arguments.Mistake("nobody can be asked: say that it is meant with --yes, or look with --dry-run")
        }
        let (server, shard) = try await place(of: request.tenant)
        request.shard = shard
        request.dryRun = true
        let plan = try await server.call(SiloV1.Silo.startBulkAction, request).plan ?? SiloV1.BulkPlan()
        guard !arguments.has("dry-run") else { return try output.print(plan.object, plan.lines(kind)) }
        for line in plan.lines(kind) { output.say(line) }
        guard plan.isUncounted || plan.jobs > 0 else {
            return try output.print(["plan": plan.object], ["Nothing was done"])
        }
        try confirm(kind, plan)
        request.dryRun = false
        // Our own, so that a call that is repeated begins nothing twice.
        request.id = UUID.random(from: SystemRandom()).text
        let action = try await server.call(SiloV1.Silo.startBulkAction, request).action ?? SiloV1.BulkAction()
        guard !arguments.has("detach") else {
            return try output.print(action.object, ["It goes on: \(BulkProgress.advice(action.id))"])
        }
        try await BulkProgress(
            action: action, planned: plan.isUncounted ? nil : plan.jobs, server: server, shard: shard, output: output
        ).run()
    }

    /// Who to ask; an empty shard is all of that server's.
    private func place(of tenant: String?) async throws -> (server: Server, shard: String) {
        if let shard = arguments.text("shard") { return try await Server(arguments).owner(of: shard, orOf: nil) }
        if let tenant { return try await Server(arguments).owner(of: nil, orOf: tenant) }
        return (try Server(arguments), "")
    }

    private func confirm(_ kind: SiloV1.BulkActionKind, _ plan: SiloV1.BulkPlan) throws {
        guard !arguments.has("yes") else { return }
        let many = plan.isUncounted ? "all of them" : Words.count(plan.jobs, "job")
        FileHandle.standardError.write(Data("\(kind.word.capitalized) \(many)? [y/N] ".utf8))
        guard ["y", "yes"].contains(readLine()?.lowercased() ?? "") else { throw Failure("nothing was done") }
    }

    // MARK: Looking, and stopping

    static let shard = Usage.Option("shard", nil, "id", help: "on this shard alone (all of the addressed server)")

    private func lookingPlace() async throws -> (server: Server, shard: String) { try await place(of: nil) }

    func list(_ output: Output) async throws {
        var request = SiloV1.ListBulkActionsRequest()
        request.shard = arguments.text("shard") ?? ""
        let response = try await lookingPlace().server.call(SiloV1.Silo.listBulkActions, request)
        for shard in response.missingShards { Program.complain("shard \(shard) does not answer: its actions are not shown") }
        let actions = response.actions
        let rows = actions.map { action -> [Line] in
            [
                "\(action.id)", "\(action.kind.word)", action.state.line, "\(Words.grouped(action.done))",
                "\(Words.grouped(action.refused))", "\(action.percent) %", "\(output.times.text(action.startedAtMs))",
                "\(action.startedBy)", "\(action.condition.oneLine.cut(toColumns: 60))",
            ]
        }
        let heading = ["Action", "Kind", "State", "Done", "Refused", "Looked at", "Began", "By", "Condition"]
        try output.print(
            ["actions": actions.map(\.object)],
            actions.isEmpty ? ["There are no bulk actions"] : Table.lines(heading, rows, onTheRight: [3, 4, 5]))
    }

    func show() async throws {
        let (server, shard) = try await lookingPlace()
        let action = try await BulkProgress.ask(server, shard, arguments.operands[0])
        guard arguments.has("watch") else {
            return try output.print(action.object, action.lines(output.times))
        }
        try await BulkProgress(action: action, planned: nil, server: server, shard: shard, output: output).run()
    }

    func stop() async throws {
        var request = SiloV1.CancelBulkActionRequest()
        request.id = arguments.operands[0]
        let (server, shard) = try await lookingPlace()
        request.shard = shard
        let action = try await server.call(SiloV1.Silo.cancelBulkAction, request).action ?? SiloV1.BulkAction()
        try output.print(action.object, action.lines(output.times))
    }
}
