import SiloAPI
import SiloCore
import SiloEngine
import Synchronization
import Testing

@testable import SiloService

/// Operations as a transport calls them, with none there.
@Suite(.timeLimit(.minutes(10))) struct OperationTests {
    @Test func aJobGoesThroughItsLife() async throws {
        let service = try await Service()
        let (jobs, workers) = (service.operations.jobs, service.operations.workers)
        _ = try await awaitAnswer(jobs.enqueue, .job("a", in: service.shard), service.context)

        let task = try #require(try await lease(service).tasks.first)
        #expect(task.jobId == "a" && task.shard == service.shard && task.tenantId == nil)

        var report = SiloV1.ReportOutcomeRequest()
        report.shard = service.shard
        report.taskId = task.id
        report.outcome = .success(SiloV1.SerializedBytes([1]))
        _ = try await awaitAnswer(workers.reportOutcome, report, service.context)

        var get = SiloV1.GetJobResultRequest()
        get.shard = service.shard
        get.id = "a"
        let result = try await jobs.getJobResult(get, service.context)
        #expect(result.result == .successData(SiloV1.SerializedBytes([1])))
        try await service.close()
    }

    @Test func refusalsAreInTheFieldsWords() async throws {
        let here = try await Service(tenancy: true)
        let jobs = here.operations.jobs
        func refusal(_ request: SiloV1.EnqueueRequest, of service: Service) async -> SiloError? {
            do throws(SiloError) {
                _ = try await awaitAnswer(service.operations.jobs.enqueue, request, service.context)
                return nil
            } catch {
                return error
            }
        }
        #expect(await refusal(.job("a", in: "x"), of: here) == .invalidArgument("invalid shard ID: x"))
        #expect(await refusal(.job("a", in: here.shard), of: here) == .tenantRequired)
        #expect(
            await refusal(.job("a", in: here.shard, tenant: "t", priority: 100), of: here)
                == .outOfBounds(field: "priority", bound: "must be between 0 and 99"))
        #expect(
            await refusal(.job("a", in: here.shard, tenant: "t", group: ""), of: here)
                == .outOfBounds(field: "task_group", bound: "is required"))
        #expect(await refusal(.job("a", in: here.shard, tenant: "t"), of: here) == nil)
        #expect(await refusal(.job("a", in: here.shard, tenant: "t"), of: here) == .jobAlreadyExists(JobID("a")))
        here.hosts[0].become(.opening("acquisition in progress"))
        #expect(await refusal(.job("b", in: here.shard, tenant: "t"), of: here) == .shardNotReady("acquisition in progress"))
        #expect(throws: SiloError.shardNotReady("acquisition in progress")) { try jobs.shards.serving(here.shard) }
        try await here.close()
    }

    @Test func whoeverAsksTheWrongPlaceIsToldTheRightOne() async throws {
        let (other, unknown) = (
            ShardID(UUID(high: 0x0b5b_1f3a_6f3e_4d0e, low: 0x9f5e_0123_4567_89ab)), "7d1b1f3a-6f3e-4d0e-9f5e-0123456789ab"
        )
        let owner = ShardOwner(node: "n2", address: "10.0.0.2:7450")
        let service = try await Service(shards: 2, tenancy: true, elsewhere: [other: owner])
        let enqueue = service.operations.jobs.enqueue
        await #expect(throws: SiloError.notOwner(hint: owner)) {
            try await awaitAnswer(enqueue, .job("a", in: other.description, tenant: "t"), service.context)
        }
        await #expect(throws: SiloError.notOwner(hint: nil)) {
            try await awaitAnswer(enqueue, .job("a", in: unknown, tenant: "t"), service.context)
        }
        let (own, wrong) = service.hosts[0].range.contains(Tenant("t").hash) ? (0, 1) : (1, 0)
        _ = try await awaitAnswer(enqueue, .job("a", in: service.hosts[own].id.description, tenant: "t"), service.context)
        await #expect(throws: SiloError.tenantElsewhere(Tenant("t"), service.hosts[wrong].id, service.hosts[wrong].range)) {
            try await awaitAnswer(enqueue, .job("b", in: service.hosts[wrong].id.description, tenant: "t"), service.context)
        }
        try await service.close()
    }

    @Test func aBatchAnswersInItsOwnOrder() async throws {
        let service = try await Service()
        var batch = SiloV1.EnqueueBatchRequest()
        batch.shard = service.shard
        batch.jobs = [
            .job("a", in: ""), .job("b", in: "", priority: 100), .job("a", in: ""), .job("c", in: "elsewhere"),
            .job("d", in: service.shard),
        ]
        let refused = SiloError.outOfBounds(field: "priority", bound: "must be between 0 and 99")
        let answer = try await awaitAnswer(service.operations.jobs.enqueueBatch, batch, service.context)
        #expect(answer == [
            .success(JobID("a")), .failure(refused), .failure(.jobAlreadyExists(JobID("a"))),
            .failure(.outOfBounds(field: "shard", bound: "must be empty or the shard of the batch")), .success(JobID("d")),
        ])
        batch.allOrNothing = true
        await #expect(throws: SiloError.inBatch(entry: "jobs[1]", refused)) {
            try await awaitAnswer(service.operations.jobs.enqueueBatch, batch, service.context)
        }
        try await service.close()
    }

    @Test("an import answers each job in the order of the request, over all its shards") func importing() async throws {
        let service = try await Service(shards: 2, tenancy: true)
        let tenants = ["a", "b", "c", "d", "e", "f"]
        var request = SiloV1.ImportJobsRequest()
        request.jobs = tenants.enumerated().map { index, tenant in
            var job = SiloV1.ImportJobRequest()
            job.id = index == 2 ? "" : "job-\(tenant)"
            job.shard = service.shard(of: tenant) ?? ""
            job.tenant = tenant
            job.taskGroup = "g"
            return job
        }
        #expect(Set(request.jobs.map(\.shard)).count == 2)
        let answer = try await awaitAnswer(service.operations.imports.importJobs, request, service.context)
        #expect(answer.map(\.id) == request.jobs.map(\.id))
        #expect(answer.enumerated().allSatisfy { index, job in
            job.result == (index == 2 ? .failure(.invalidArgument("job id is required for import")) : .success(.scheduled))
        })
        try await service.close()
    }

    @Test("tasks that did not reach their worker are there for the next one") func undelivered() async throws {
        let service = try await Service()
        _ = try await awaitAnswer(service.operations.jobs.enqueue, .job("a", in: service.shard), service.context)
        // The answer is lost on its way.
        let lost = LostReply()
        try service.operations.workers.leaseTasks(leaseRequest(), service.context, lost)
        await lost.untilSent()
        #expect(try await lease(service).tasks.map(\.jobId) == ["a"])
        try await service.close()
    }

    @Test func whatIsDangerousIsForDevelopmentOnly() async throws {
        let service = try await Service()
        await #expect(throws: SiloError.developmentOnly(operation: "ResetShards")) {
            try await service.operations.admin.resetShards(.init(), service.context)
        }
        await #expect(throws: SiloError.developmentOnly(operation: "LeaseTask")) {
            try await awaitAnswer(service.operations.workers.leaseTask, .init(), service.context)
        }
        try await service.close()
    }

    private func leaseRequest() -> SiloV1.LeaseTasksRequest {
        var request = SiloV1.LeaseTasksRequest()
        request.taskGroup = "g"
        request.workerId = "w"
        request.maxTasks = 10
        return request
    }

    private func lease(_ service: Service) async throws -> SiloV1.LeaseTasksResponse {
        try await awaitAnswer(service.operations.workers.leaseTasks, leaseRequest(), service.context)
    }
}

/// An answer that does not arrive, which is known at once.
private final class LostReply: Reply {
    private let sent = AsyncStream.makeStream(of: Void.self)

    func send(_ result: Result<SiloV1.LeaseTasksResponse, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        onUndelivered?()
        sent.continuation.finish()
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) {}

    func untilSent() async { for await _ in sent.stream {} }
}
