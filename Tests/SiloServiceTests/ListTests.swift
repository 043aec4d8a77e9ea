import SiloAPI
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloService

/// Lists over several shards of which one is open and cannot be read.
@Suite(.timeLimit(.minutes(10))) struct ListTests {
    private let changes: Signal
    private let clock: ManualClock

    init() {
        changes = Signal()
        clock = ManualClock(changes: changes)
    }

    /// Three shards, each with a job that waits, one for later, and one that failed.
    private func service() async throws -> Service {
        let service = try await Service(shards: 3, tenancy: true, clock: clock, changes: changes)
        for host in service.hosts {
            let tenant = try #require((0..<1000).map { "t\($0)" }.first { host.range.contains(Tenant($0).hash) })
            let shard = host.id.description
            var later = SiloV1.EnqueueRequest.job("later", in: shard, tenant: tenant)
            later.startAtMs = clock.now.milliseconds + 60_000
            _ = try await awaitAnswer(service.operations.jobs.enqueue, later, service.context)
            _ = try await awaitAnswer(
                service.operations.jobs.enqueue, .job("waits", in: shard, tenant: tenant, group: "other"), service.context)
            var failure = SiloV1.ImportAttempt()
            (failure.status, failure.errorCode) = (.failed, "BROKEN")
            var failed = SiloV1.ImportJobRequest()
            (failed.shard, failed.tenant, failed.id, failed.taskGroup) = (shard, tenant, "failed", "g")
            failed.attempts = [failure]
            var imports = SiloV1.ImportJobsRequest()
            imports.jobs = [failed]
            let imported = try await awaitAnswer(service.operations.imports.importJobs, imports, service.context)
            #expect(imported.count == 1)
        }
        return service
    }

    private func jobs(_ service: Service, status: String = "") async throws(SiloError) -> SiloV1.ListJobsResponse {
        var request = SiloV1.ListJobsRequest()
        request.statusKind = status
        return try await service.operations.lists.listJobs(request, service.context)
    }

    @Test func aJobThatCannotBeReadIsNamedAndTheOthersAreShown() async throws {
        let service = try await service()
        let host = service.hosts[1]
        guard case .serving(_, let store) = host.current else { throw SiloError.closing }
        let tenant = try #require(try await jobs(service).jobs.first { $0.shard == host.id.description }?.tenant)
        try await store.write([Write(key: TenantKeys(Tenant(tenant)).job(JobID("waits")), value: [0xff])])
        let found = try await jobs(service)
        #expect(found.jobs.count == 8 && found.missingShards == [])
        #expect(found.unreadable.map { [$0.shard, $0.tenant, $0.id] } == [[host.id.description, tenant, "waits"]])
        try await service.close()
    }

    private func schedule(_ service: Service) async throws(SiloError) -> SiloV1.GetScheduleResponse {
        try await service.operations.lists.getSchedule(SiloV1.GetScheduleRequest(), service.context)
    }

    @Test func aTimerThatCannotBeReadIsNamedAndTheOthersAreShown() async throws {
        let service = try await service()
        let host = service.hosts[1]
        guard case .serving(_, let store) = host.current else { throw SiloError.closing }
        let whole = try await schedule(service)
        let tenant = try #require(whole.jobs.first { $0.shard == host.id.description }?.tenant)
        let range = TenantKeys(Tenant(tenant)).dates(TaskGroup("g"), from: Position(from: 0))
        let timer = try #require(try await store.scan(from: range.start, to: range.end, limit: 10).first)
        try await store.write([Write(key: timer.key, value: [0xff])])
        let found = try await schedule(service)
        #expect(found.jobs.count == 2 && found.slots == whole.slots && found.scheduled == 3 && found.missingShards == [])
        #expect(found.unreadable.map { [$0.shard, $0.tenant, $0.id] } == [[host.id.description, tenant, "later"]])
        try await service.close()
    }

    private func expectTwo(_ service: Service) async throws {
        let missing = [service.hosts[1].id.description]
        let all = try await jobs(service)
        #expect(all.jobs.count == 6 && all.missingShards == missing)
        let failed = try await jobs(service, status: "Failed")
        #expect(failed.jobs.map(\.id) == ["failed", "failed"] && failed.missingShards == missing)
        let soon = try await schedule(service)
        #expect(soon.jobs.map(\.id) == ["later", "later"] && soon.slots.reduce(0, +) == 2 && soon.missingShards == missing)
    }

    /// One is named as missing by what was asked before the time went on, and the others are back. They were lost too if they
    /// were being read then.
    private func oneIsMissing(_ service: Service, _ first: Task<SiloV1.ListJobsResponse, any Error>) async throws {
        do {
            #expect(try await first.value.missingShards.contains(service.hosts[1].id.description))
        } catch {
            #expect(error as? SiloError == ShardReads.unanswered)
        }
        while (try? await jobs(service))?.missingShards != [service.hosts[1].id.description] {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    private func expectThree(_ service: Service) async throws {
        let (all, soon) = (try await jobs(service), try await schedule(service))
        #expect(all.jobs.count == 9 && all.missingShards.isEmpty && soon.jobs.count == 3 && soon.missingShards.isEmpty)
    }

    @Test("a shard whose reads fail after its view was taken is missing, and the others are shown")
    func failing() async throws {
        let service = try await service()
        try await expectThree(service)
        service.hosts[1].store.set { $0.failViews = true }
        try await expectTwo(service)
        for host in service.hosts { host.store.set { $0.failViews = true } }
        await #expect(throws: SiloError.self) { try await jobs(service) }
        for host in service.hosts { host.store.set { $0.failViews = false } }
        try await expectThree(service)
        try await service.close()
    }

    @Test("a shard whose reads do not end is missing after a while, and is not asked again before they do")
    func hanging() async throws {
        let service = try await service()
        let store = service.hosts[1].store
        store.set { $0.holdViews = true }
        let first = Task { try await jobs(service) }
        try await changes.wait(for: "a read that is held") { store.heldCount > 0 && !clock.sleepers.isEmpty }
        clock.advance(milliseconds: 5000)
        try await oneIsMissing(service, first)
        let held = store.heldCount
        try await expectTwo(service)
        #expect(store.heldCount == held)
        store.set { $0.holdViews = false }
        try await changes.wait(for: "the read's end") { try await jobs(service).missingShards.isEmpty }
        try await expectThree(service)
        try await service.close()
    }

    @Test("a shard that does not give a view keeps nobody waiting either")
    func unflushed() async throws {
        let service = try await service()
        let host = service.hosts[1]
        let tenant = try #require((0..<1000).map { "t\($0)" }.first { host.range.contains(Tenant($0).hash) })
        host.store.set { $0.holdFlushes = true }
        async let enqueued = awaitAnswer(
            service.operations.jobs.enqueue, .job("new", in: host.id.description, tenant: tenant), service.context)
        try await changes.wait(for: "a flush that is held") { host.store.heldCount > 0 }
        let first = Task { try await jobs(service) }
        let reads = service.operations.lists.shards.reads
        while reads.overdue(among: [host.id], patience: 0).isEmpty {
            try Task.checkCancellation()
            await Task.yield()
        }
        clock.advance(milliseconds: 5000)
        try await oneIsMissing(service, first)
        let tenants = try await service.operations.census.listTenants(SiloV1.ListTenantsRequest(), service.context)
        #expect(tenants.tenants.count == 2 && tenants.missingShards == [host.id.description])
        host.store.set { $0.holdFlushes = false }
        let new = try await enqueued
        #expect(new.id == "new")
        try await service.close()
    }

    @Test("a page behind one that ended in a shard that is lost is refused")
    func cursor() async throws {
        let service = try await service()
        var request = SiloV1.ListJobsRequest()
        request.jobsMax = 5
        let half = try await service.operations.lists.listJobs(request, service.context)
        #expect(half.jobs.count == 5 && half.jobs.last?.shard == service.hosts[1].id.description)
        service.hosts[1].store.set { $0.failViews = true }
        request.cursor = half.nextCursor
        await #expect(throws: SiloError.shardNotReady("the page before ended in a shard that cannot be read now")) {
            try await service.operations.lists.listJobs(request, service.context)
        }
        try await service.close()
    }

    @Test("one shard alone is waited for")
    func alone() async throws {
        let service = try await service()
        let store = service.hosts[1].store
        store.set { $0.holdViews = true }
        var request = SiloV1.ListJobsRequest()
        request.shard = service.hosts[1].id.description
        async let answer = service.operations.lists.listJobs(request, service.context)
        try await changes.wait(for: "a read that is held") { store.heldCount > 0 }
        clock.advance(milliseconds: 60_000)
        store.set { $0.holdViews = false }
        let list = try await answer
        #expect(!list.jobs.isEmpty && list.missingShards.isEmpty)
        try await service.close()
    }
}
