import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloTesting

/// A worker that dies with its task, hangs, reports late, twice or for another, and sometimes does as it should.
struct BadWorker {
    private let world: World
    private let random: SeededRandom
    private let caller: Caller
    private let name: String
    private var scenario: Scenario { world.scenario }

    init(_ world: World, _ index: Int) {
        self.world = world
        random = SeededRandom(seed: world.scenario.seed &* 31 &+ UInt64(index))
        caller = Caller(world)
        name = "bad worker \(index)"
    }

    func run(until end: Timestamp) async {
        while world.clock.now < end, world.violations.isEmpty {
            try? await world.clock.sleep(milliseconds: Int64(random.below(6000)))
            var request = SiloV1.LeaseTasksRequest()
            request.workerId = name
            request.taskGroup = random.chance(70) ? "g" : "h"
            request.maxTasks = UInt32(1 + random.below(3))
            request.waitMs = UInt32(random.below(4000))
            // Sometimes so little that a second task does not fit.
            if random.chance(30) { request.answerBytesMax = UInt64(200 + random.below(600)) }
            let asked = world.clock.now
            // Sometimes it is gone before the answer comes.
            guard
                let response = try? await caller.call(
                    SiloV1.Silo.leaseTasks, request, timeout: .milliseconds(200 + random.below(4000)))
            else {
                if scenario.has(.cancels), random.chance(50) { await cancelSome() }
                continue
            }
            for task in response.tasks {
                let job = Book.JobName(tenant: task.tenantId ?? "", id: task.jobId)
                world.trace.note("\(name) has \(job) attempt \(task.attemptNumber)")
                world.book.given(job, attempt: task.attemptNumber, task: task.id, asked: asked)
            }
            for task in response.tasks { await work(task) }
            for task in response.refreshTasks { await refresh(task) }
        }
    }

    /// Also jobs that were on their way to it, perhaps.
    private func cancelSome() async {
        let known = world.book.known
        for _ in 0..<min(known.count, 8) {
            let job = known[random.below(known.count)]
            var request = SiloV1.CancelJobRequest()
            request.shard = await caller.shard(of: job.tenant)
            request.tenant = job.tenant
            request.id = job.id
            guard (try? await caller.call(SiloV1.Silo.cancelJob, request)) != nil else { continue }
            world.trace.note("\(name) cancelled \(job)")
            world.book.cancelled(job)
        }
    }

    private func work(_ task: SiloV1.Task) async {
        switch random.below(6) {
        case 0:
            world.trace.note("\(name) dies with \(task.jobId)")
        case 1:
            try? await world.clock.sleep(milliseconds: 9000 + Int64(random.below(4000)))
            await report(task)
        case 2:
            await report(task)
            await report(task)
        case 3:
            await beat(task, as: "somebody else")
            await beat(task, as: name)
            try? await world.clock.sleep(milliseconds: Int64(random.below(4000)))
            await report(task)
        default:
            try? await world.clock.sleep(milliseconds: Int64(random.below(2000)))
            await report(task)
        }
    }

    private func report(_ task: SiloV1.Task) async {
        var request = SiloV1.ReportOutcomeRequest()
        request.shard = task.shard
        request.taskId = task.id
        request.tenantId = task.tenantId
        let succeeds = random.chance(50)
        if succeeds {
            request.outcome = .success(SiloV1.SerializedBytes())
        } else {
            var failure = SiloV1.Failure()
            failure.code = "BAD"
            request.outcome = .failure(failure)
        }
        world.book.sendsOutcome(task.id)
        do {
            _ = try await caller.call(SiloV1.Silo.reportOutcome, request)
            world.trace.note("\(name) reported \(task.jobId): \(succeeds)")
            if succeeds { world.book.succeeded(task.id) }
        } catch {
            world.trace.note("\(name) reports \(task.jobId): \(error)")
        }
    }

    private func beat(_ task: SiloV1.Task, as worker: String) async {
        var request = SiloV1.HeartbeatRequest()
        request.shard = task.shard
        request.taskId = task.id
        request.tenantId = task.tenantId
        request.workerId = worker
        let asked = world.clock.now
        guard (try? await caller.call(SiloV1.Silo.heartbeat, request)) != nil else { return }
        if worker != name { world.book.complain("J33: \(worker) renewed the lease of \(name)") }
        world.book.renewed(task.id, asked: asked)
    }

    private func refresh(_ task: SiloV1.RefreshFloatingLimitTask) async {
        guard random.chance(70) else { return world.trace.note("\(name) dies with the refresh of \(task.queueKey)") }
        var request = SiloV1.ReportRefreshOutcomeRequest()
        request.shard = task.shard
        request.taskId = task.id
        request.tenantId = task.tenantId
        if random.chance(60) {
            var success = SiloV1.RefreshSuccess()
            success.newMaxConcurrency = UInt32(random.below(4))
            request.outcome = .success(success)
        } else {
            request.outcome = .failure(SiloV1.RefreshFailure())
        }
        _ = try? await caller.call(SiloV1.Silo.reportRefreshOutcome, request)
    }
}
