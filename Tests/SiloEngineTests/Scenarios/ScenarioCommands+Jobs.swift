import SiloCore
import SiloStore
import TestSupport

@testable import SiloEngine

extension ScenarioCommands {
    private typealias NewJob = (ScenarioWorld, String) -> Enqueue

    /// What `enqueue` says of each job, but for its name: `[tenant=t] [group=g] [priority=50] [after=5s] [retries=3 [backoff=0s]]
    /// [payload=bytes] [keep=10s] [limits=…]`. A retry waits 2 s, 4 s and so on, or each time `backoff`.
    private static func newJob(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> NewJob {
        let wait = try arguments.length("after")
        let backoff = try arguments.length("backoff")
        let retries: UInt32? = try arguments.number("retries")
        let payload: Int = try arguments.number("payload") ?? 0
        let template = Enqueue(
            tenant: arguments.tenant() ?? Bench.tenant, priority: try arguments.number("priority") ?? 50,
            retryPolicy: retries.map { policy($0, initial: backoff ?? 1000, factor: backoff == nil ? 2 : 1) },
            payload: Bytes(repeating: 7, count: payload), limits: try ScenarioLimits.parse(arguments.option("limits"), arguments),
            taskGroup: arguments.option("group") ?? "g", retainMs: try arguments.length("keep") ?? 0)
        let resets = template.limits.rates.contains { $0.behavior & RateBehavior.resetRemaining != 0 }
        return { world, name in
            if resets { world.forgetBuckets() }
            var job = template
            job.id = JobID(name)
            if let wait { job.startAtMs = (world.bench.now + wait).milliseconds }
            return job
        }
    }

    /// `enqueue a b1..b9`, each by itself.
    static func enqueue(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let names = try arguments.names()
        let job = try newJob(&arguments)
        return { world in
            for name in names {
                _ = try await world.bench.shard.run(job(world, name))
                try world.look()
            }
            return []
        }
    }

    /// Lines as those of `enqueue`, without the word: `enqueue-all` stores all or none, `enqueue-each` each or not.
    static func enqueueSeveral(_ arguments: ScenarioArguments, _ block: Scenario.Block) throws(ScenarioError) -> ScenarioStep {
        var jobs: [(name: String, job: NewJob)] = []
        for (index, text) in block.input.enumerated().dropFirst() {
            var line = try ScenarioArguments("enqueue \(text)", line: block.line + index)
            let names = try line.names()
            let job = try newJob(&line)
            try line.finish()
            jobs += names.map { ($0, job) }
        }
        let isAll = arguments.command == "enqueue-all"
        return { world in
            let all = jobs.map { name, job in job(world, name) }
            if isAll {
                _ = try await world.bench.shard.run(EnqueueAll(all))
                return []
            }
            let results = try await world.bench.shard.run(Each(all))
            return zip(jobs, results).compactMap { job, result in result.refusal.map { Self.refused(job.name, $0) } }
        }
    }

    /// Lines that are commands `enqueue` and `cancel`; all run in one turn of the loop.
    static func together(_ block: Scenario.Block) throws(ScenarioError) -> ScenarioStep {
        var jobs: [(name: String, job: NewJob?)] = []
        for (index, text) in block.input.enumerated().dropFirst() {
            var line = try ScenarioArguments(String(text), line: block.line + index)
            guard ["enqueue", "cancel"].contains(line.command) else { throw line.error("it cannot run together with others") }
            let names = try line.names()
            let job = line.command == "enqueue" ? try newJob(&line) : nil
            try line.finish()
            jobs += names.map { ($0, job) }
        }
        return { world in
            let refusals = Box<String>()
            let shard = world.bench.shard
            try await world.bench.together {
                for (name, job) in jobs {
                    let answer = { @Sendable (error: SiloError?) in if let error { refusals.add(Self.refused(name, error)) } }
                    if let job {
                        shard.submit(job(world, name)) { answer($0.refusal) }
                    } else {
                        shard.submit(Cancel(tenant: Bench.tenant, id: JobID(name))) { answer($0.refusal) }
                    }
                }
            }
            try await world.bench.poke()
            return refusals.all
        }
    }

    private static func refused(_ name: String, _ error: SiloError) -> String { "\(name) refused: \(ScenarioWorld.text(error))" }

    /// `cancel a b`, `restart a`, `expedite a`, `delete a`, `lease-job a [worker=w]`, `explain a`, `attempts a`
    static func job(_ arguments: inout ScenarioArguments) throws(ScenarioError) -> ScenarioStep {
        let command = arguments.command
        let names = try arguments.names()
        let worker = command == "lease-job" ? arguments.option("worker") ?? "w" : ""
        return { world in
            var answers: [String] = []
            for name in names {
                let (tenant, id) = world.job(name)
                let shard = world.bench.shard
                switch command {
                case "cancel": try await shard.run(Cancel(tenant: tenant, id: id))
                case "restart": try await shard.run(Restart(tenant: tenant, id: id))
                case "expedite": try await shard.run(Expedite(tenant: tenant, id: id))
                case "delete": try await shard.run(Delete(tenant: tenant, id: id))
                case "lease-job":
                    let task = try await shard.run(LeaseJob(tenant: tenant, id: id, worker: worker))
                    answers.append(world.note(task))
                case "explain": answers += try await world.explanation(tenant, id)
                default: answers += try await world.attempts(id)
                }
                try world.look()
            }
            return answers
        }
    }
}

extension ScenarioArguments {
    /// Of the option `tenant=`.
    mutating func tenant() -> Tenant? { option("tenant").map { Tenant($0) } }
}
