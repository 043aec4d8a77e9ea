import SiloCore

@testable import SiloEngine

extension ScenarioCommands {
    /// Asks for work.
    private typealias Ask = (ScenarioWorld) async throws -> Leased

    /// `[count] [group=g] [worker=w]`, for one task by default.
    private static func ask(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> Ask {
        let text = arguments.optionalWord() ?? "1"
        guard let count = Int(text) else { throw arguments.error("\(text) is no count") }
        let group = arguments.option("group") ?? "g"
        let worker = arguments.option("worker") ?? "w"
        return { try await $0.bench.leased(count, group: group, worker: worker) }
    }

    static func lease(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let ask = try ask(&arguments)
        return { world in
            let answers = world.note(try await ask(world))
            return answers.isEmpty ? ["nothing"] : answers
        }
    }

    /// Asks, and reports success, until nothing is ready. A line for each round; one for rounds of a single task each, of jobs
    /// that follow on one another.
    static func run(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let ask = try ask(&arguments)
        return { world in
            var rounds: [[String]] = []
            try await untilNothingIsLeft {
                let leased = try await ask(world)
                guard !leased.isEmpty else { return false }
                rounds.append(world.note(leased))
                try world.look()
                try await world.bench.succeed(leased.tasks)
                try await world.bench.settle(4)
                try world.look()
                return true
            }
            let lines = rounds.runs(by: follows).flatMap { run in
                run.count > 3 ? ["\(run[0][0]) to \(run[run.count - 1][0]), one after another"] : run.flatMap { $0 }
            }
            return lines.isEmpty ? ["nothing"] : lines
        }
    }

    private static func follows(_ round: [String], _ last: [String]) -> Bool {
        func job(_ tasks: [String]) -> NumberedName? {
            guard tasks.count == 1, tasks[0].hasSuffix("/1"), !tasks[0].contains(",") else { return nil }
            return NumberedName(String(tasks[0].dropLast(2)))
        }
        guard let new = job(round), let old = job(last) else { return false }
        return new.follows(old)
    }

    // MARK: What workers have

    /// `report a/1 b/1 success|failure|cancelled [tenant=t]`, all in one command.
    static func report(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        var names = try arguments.names()
        let stranger = arguments.tenant()
        let outcome: ReportOutcome.Outcome
        switch names.popLast() {
        case "success": outcome = .success(result: [1])
        case "failure": outcome = .failure(code: "BROKEN", data: [2])
        case "cancelled": outcome = .cancelled
        default: throw arguments.error("it ends with success, failure or cancelled")
        }
        let tasks = names
        return { world in
            let reports = try tasks.map { name in
                let (tenant, id) = try world.claim(name)
                return ReportOutcome(tenant: stranger ?? tenant, task: id, outcome: outcome)
            }
            for result in try await world.bench.shard.run(Each(reports)) { try result.get() }
            return []
        }
    }

    /// `refresh f#1 failure` or `refresh f#1 max=4`, `[tenant=t]`
    static func refresh(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let name = try arguments.word("a refresh")
        let stranger = arguments.tenant()
        let max: UInt32? = try arguments.number("max")
        if max == nil, arguments.optionalWord() != "failure" { throw arguments.error("it ends with failure or max=") }
        let outcome = max.map { ReportRefresh.Outcome.success(newMax: $0) } ?? .failure
        return { world in
            let (tenant, id) = try world.claim(name)
            try await world.bench.shard.run(ReportRefresh(tenant: stranger ?? tenant, task: id, outcome: outcome))
            return []
        }
    }

    /// `heartbeat a/1 f#1 [worker=w] [tenant=t]`
    static func heartbeat(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let names = try arguments.names()
        let worker = arguments.option("worker") ?? "w"
        let stranger = arguments.tenant()
        return { world in
            for name in names {
                let (tenant, id) = try world.claim(name)
                _ = try await world.bench.shard.run(Heartbeat(tenant: stranger ?? tenant, task: id, worker: worker))
            }
            return []
        }
    }

    /// `give-back a/1 f#1`: their worker was never told of them.
    static func giveBack(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let names = try arguments.names()
        return { world in
            try await world.bench.shard.run(Release(try names.map { try world.claim($0).id }))
            return []
        }
    }
}
