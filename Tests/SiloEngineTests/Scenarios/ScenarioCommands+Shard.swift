import SiloCore
import SiloStore

@testable import SiloEngine

extension ScenarioCommands {
    /// `pause limit x`, `pause group g`, `pause tenant`, and `resume` of the same; each with `tenant=`
    static func pause(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let isPause = arguments.command == "pause"
        let tenant = arguments.tenant() ?? Bench.tenant
        let target: PauseTarget
        switch try arguments.word("what to pause") {
        case "limit": target = .limit(LimitKey(try arguments.word("a key")), of: tenant)
        case "group": target = .group(TaskGroup(try arguments.word("a group")), of: tenant)
        case "tenant": target = .tenant(tenant)
        case let other: throw arguments.error("\(other) cannot be paused")
        }
        return { world in
            let wasPaused = isPause ? try await world.bench.pause(target) : try await world.bench.resume(target)
            return isPause == wasPaused ? [isPause ? "it was paused before" : "it was not paused"] : []
        }
    }

    /// `drop-holders [tenant=t] [key=k]`
    static func dropHolders(_ arguments: inout ScenarioArguments) -> ScenarioStep {
        let tenant = arguments.tenant() ?? Bench.tenant
        let key = arguments.option("key")
        return { world in ["\(try await world.bench.dropHolders(tenant, key: key)) dropped"] }
    }

    /// `drop-tenant [tenant=t]`
    static func dropTenant(_ arguments: inout ScenarioArguments) -> ScenarioStep {
        let tenant = arguments.tenant() ?? Bench.tenant
        return { world in
            let drop = try await world.bench.shard.run(DropTenant(tenant: tenant))
            return ["\(drop.jobs) jobs, \(drop.rowsDeleted) rows deleted so far"]
        }
    }

    /// `keep-house 10s`: so much time passes and a little more, and what is due of housekeeping is done.
    static func keepHouse(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let time = try arguments.length(of: try arguments.word("a length of time"))
        return { world in
            try await world.bench.keepHouse(after: time)
            return []
        }
    }

    /// `pass 10s [times=6]`
    static func pass(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let time = try arguments.length(of: try arguments.word("a length of time"))
        let times: Int = try arguments.number("times") ?? 1
        guard (1...10_000).contains(times) else { throw arguments.error("times are from 1 to 10000") }
        return { world in
            for _ in 0..<times {
                try await world.bench.pass(time)
                try world.look()
            }
            return ["it is \(world.sinceStart(world.bench.now))"]
        }
    }

    /// `settle [turns]`, which lets the loop do what it left over; `crash`; `counts`; `rows`
    static func shard(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        switch arguments.command {
        case "settle":
            let text = arguments.optionalWord() ?? "8"
            guard let turns = Int(text), (1...1000).contains(turns) else { throw arguments.error("turns are from 1 to 1000") }
            return { world in
                try await world.bench.settle(turns)
                return []
            }
        case "crash":
            return { world in
                try await world.crash()
                return []
            }
        case "counts": return { world in [world.counts] }
        default: return { world in world.stored.isEmpty ? ["nothing"] : world.stored }
        }
    }
}
