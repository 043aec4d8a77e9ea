import SiloAPI
import SiloCore
import Testing

@testable import SiloService

/// Callers that are bound to tenants or task groups, and what is of others.
@Suite(.timeLimit(.minutes(10))) struct BoundCallerTests {
    private func context(_ roles: [Role] = [.admin], tenants: [String]? = nil, groups: [String]? = nil) -> RequestContext {
        RequestContext(caller: Caller(
            name: "ci", proof: .token, roles: Roles(roles), tenants: tenants.map { Set($0.map { Tenant($0) }) },
            groups: groups.map { Set($0.map { TaskGroup($0) }) }
        ))
    }

    private func refusal(_ body: () async throws -> Void) async -> SiloError? {
        do { try await body() } catch { return error as? SiloError }
        return nil
    }

    @Test func aTenantOfOthersIsDeniedWhereverItIsNamed() async throws {
        let service = try await Service(tenancy: true)
        let (jobs, workers, limits) = (service.operations.jobs, service.operations.workers, service.operations.limits)
        _ = try await awaitAnswer(jobs.enqueue, .job("a", in: service.shard, tenant: "other"), service.context)
        let bound = context(tenants: ["own"])
        let denied = SiloError.denied("token 'ci' may not touch tenant 'other'")
        let shard = service.shard
        func job<R>(_ make: (inout R) -> Void, _ request: R) -> R {
            var request = request
            make(&request)
            return request
        }
        let get = job({ $0.shard = shard; $0.id = "a"; $0.tenant = "other" }, SiloV1.GetJobRequest())
        let result = job({ $0.shard = shard; $0.id = "a"; $0.tenant = "other" }, SiloV1.GetJobResultRequest())
        let cancel = job({ $0.shard = shard; $0.id = "a"; $0.tenant = "other" }, SiloV1.CancelJobRequest())
        let beat = job({ $0.shard = shard; $0.taskID(.max); $0.tenantId = "other" }, SiloV1.HeartbeatRequest())
        let explain = job({ $0.shard = shard; $0.id = "a"; $0.tenant = "other" }, SiloV1.ExplainJobRequest())
        let drop = job({ $0.shard = shard; $0.tenant = "other" }, SiloV1.DropTenantHoldersRequest())
        let dropKey = job({ $0.shard = shard; $0.tenant = "other"; $0.limitKey = "k" }, SiloV1.DropLimitHoldersRequest())
        #expect(await refusal { _ = try await awaitAnswer(jobs.enqueue, .job("b", in: shard, tenant: "other"), bound) } == denied)
        #expect(await refusal { _ = try await jobs.getJob(get, bound) } == denied)
        #expect(await refusal { _ = try await jobs.getJobResult(result, bound) } == denied)
        #expect(await refusal { _ = try await awaitAnswer(jobs.cancelJob, cancel, bound) } == denied)
        #expect(await refusal { _ = try await awaitAnswer(workers.heartbeat, beat, bound) } == denied)
        #expect(await refusal { _ = try await limits.explainJob(explain, bound) } == denied)
        #expect(await refusal { _ = try await awaitAnswer(limits.dropTenantHolders, drop, bound) } == denied)
        #expect(await refusal { _ = try await awaitAnswer(limits.dropLimitHolders, dropKey, bound) } == denied)
        #expect(await refusal { _ = try await awaitAnswer(jobs.enqueue, .job("b", in: shard, tenant: "own"), bound) } == nil)
        try await service.close()
    }

    @Test func ofABatchOnlyTheEntriesOfOthersAreDenied() async throws {
        let service = try await Service(tenancy: true)
        var batch = SiloV1.EnqueueBatchRequest()
        batch.shard = service.shard
        batch.jobs = [.job("a", in: "", tenant: "own"), .job("b", in: "", tenant: "other"), .job("c", in: "", tenant: "own")]
        let results = try await awaitAnswer(service.operations.jobs.enqueueBatch, batch, context(tenants: ["own"]))
        #expect(results.map { $0.refusal } == [nil, .denied("token 'ci' may not touch tenant 'other'"), nil])
        batch.jobs[0].id = "d"
        batch.allOrNothing = true
        await #expect(throws: SiloError.self) {
            try await awaitAnswer(service.operations.jobs.enqueueBatch, batch, context(tenants: ["own"]))
        }
        try await service.close()
    }

    @Test func aTaskGroupOfOthersIsDeniedWhereItIsNamedAndHiddenWhereItIsNot() async throws {
        let service = try await Service()
        let (jobs, workers, limits) = (service.operations.jobs, service.operations.workers, service.operations.limits)
        let shard = service.shard
        for group in ["own", "other"] {
            _ = try await awaitAnswer(jobs.enqueue, .job(group, in: shard, group: group), service.context)
        }
        let bound = context(groups: ["own"])
        let denied = SiloError.denied("token 'ci' may not touch task group 'other'")
        #expect(await refusal { _ = try await awaitAnswer(jobs.enqueue, .job("b", in: shard, group: "other"), bound) } == denied)
        #expect(await refusal { _ = try await self.lease("other", service, bound) } == denied)

        for (id, expected) in [("own", nil), ("other", SiloError.jobNotFound), ("none", .jobNotFound)] {
            var get = SiloV1.GetJobRequest()
            get.shard = shard
            get.id = id
            #expect(await refusal { _ = try await jobs.getJob(get, bound) } == expected, "\(id)")
            var explain = SiloV1.ExplainJobRequest()
            explain.shard = shard
            explain.id = id
            #expect(await refusal { _ = try await limits.explainJob(explain, bound) } == expected, "\(id)")
            var expedite = SiloV1.ExpediteJobRequest()
            expedite.shard = shard
            expedite.id = id
            let found = await refusal { _ = try await awaitAnswer(jobs.expediteJob, expedite, bound) }
            if id == "own" { #expect(found != .jobNotFound) } else { #expect(found == .jobNotFound, "\(id)") }
            // What is not there is erased already.
            var delete = SiloV1.DeleteJobRequest()
            delete.shard = shard
            delete.id = id
            let kept = id == "own" ? SiloError.jobInProgress(JobID(id)) : nil
            #expect(await refusal { _ = try await awaitAnswer(jobs.deleteJob, delete, bound) } == kept, "\(id)")
        }
        // A task of others, though its id is known.
        let task = try #require(try await lease("other", service, service.context).tasks.first)
        var beat = SiloV1.HeartbeatRequest()
        beat.shard = shard
        beat.taskId = task.id
        beat.workerId = "w"
        var report = SiloV1.ReportOutcomesRequest()
        report.shard = shard
        report.outcomes = [SiloV1.ReportOutcomeRequest()]
        report.outcomes[0].taskId = task.id
        report.outcomes[0].outcome = .success(SiloV1.SerializedBytes([1]))
        #expect(await refusal { _ = try await awaitAnswer(workers.heartbeat, beat, bound) } == .leaseNotFound)
        #expect(try await awaitAnswer(workers.reportOutcomes, report, bound).map(\.refusal) == [.leaseNotFound])
        #expect(await refusal { _ = try await awaitAnswer(workers.heartbeat, beat, service.context) } == nil)
        // An import names its own group, and may not take an id of another.
        var entry = SiloV1.ImportJobRequest()
        entry.shard = shard
        entry.id = "other"
        entry.taskGroup = "own"
        var imported = SiloV1.ImportJobsRequest()
        imported.jobs = [entry]
        let results = try await awaitAnswer(service.operations.imports.importJobs, imported, bound)
        #expect(results.map { $0.result.refusal } == [.jobAlreadyExists(JobID("other"))])
        try await service.close()
    }

    @Test func whatReachesFurtherIsDenied() async throws {
        let service = try await Service(tenancy: true)
        let pauses = service.operations.pauses
        func pause(_ target: SiloV1.PauseTarget.OneOfTarget, tenant: String?, _ context: RequestContext) async -> SiloError? {
            var request = SiloV1.PauseRequest()
            request.shard = service.shard
            request.tenant = tenant
            request.target = SiloV1.PauseTarget()
            request.target?.target = target
            return await refusal { _ = try await awaitAnswer(pauses.pause, request, context) }
        }
        let (ofTenant, ofGroup) = (context(tenants: ["own"]), context(groups: ["g"]))
        let toAllTenants = SiloError.denied("token 'ci' may not do this: it is bound to some tenants")
        #expect(await pause(.taskGroup("g"), tenant: nil, ofTenant) == toAllTenants)
        #expect(await pause(.taskGroup("g"), tenant: "own", ofTenant) == nil)
        #expect(await pause(.wholeTenant(true), tenant: "own", ofTenant) == nil)
        let tooFar = SiloError.denied("token 'ci' may not do this: it is bound to some task groups")
        #expect(await pause(.wholeTenant(true), tenant: "own", ofGroup) == tooFar)
        #expect(await pause(.limitKey("k"), tenant: "own", ofGroup) == tooFar)
        #expect(await pause(.taskGroup("g"), tenant: nil, ofGroup) == nil)
        #expect(await pause(.taskGroup("h"), tenant: "other", service.context) == nil)
        var list = SiloV1.ListPausesRequest()
        list.shard = service.shard
        #expect(try await pauses.listPauses(list, service.context).pauses.count == 4)
        #expect(Set(try await pauses.listPauses(list, ofTenant).pauses.map(\.tenant)) == [nil, "own"])
        #expect(try await pauses.listPauses(list, ofGroup).pauses.count == 3)
        try await service.close()
    }

    private func lease(_ group: String, _ service: Service, _ context: RequestContext) async throws -> SiloV1.LeaseTasksResponse {
        var request = SiloV1.LeaseTasksRequest()
        request.taskGroup = group
        request.workerId = "w"
        request.maxTasks = 10
        return try await awaitAnswer(service.operations.workers.leaseTasks, request, context)
    }
}

extension SiloV1.HeartbeatRequest {
    fileprivate mutating func taskID(_ value: UInt64) { taskId = UUID(high: value, low: value).text }
}
