import Foundation
import SiloClient
import SiloEngine
import SiloServer
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct LimitTests {
    @Test func noMoreAttemptsRunThanAConcurrencyLimitAllows() async throws {
        let server = try await TestServer()
        let running = Tally()
        let peak = Atomic(0)
        let (worker, task) = server.worker("g") { task in
            #expect(task.limits == [.concurrency("db", max: 2)])
            peak.max(running.add(), ordering: .sequentiallyConsistent)
            // As many run at once as may, and if there is a third it comes meanwhile.
            if peak.load(ordering: .sequentiallyConsistent) < 2 { try await running.until(2) }
            await Task.yield()
            running.add(-1)
            return .succeeded(.empty)
        }
        let jobs = try (0..<30).map { index in
            var job = try NewJob("g", index)
            job.limits = [.concurrency("db", max: 2)]
            return job
        }
        for handle in try await server.client.enqueue(jobs).map({ try $0.get() }) {
            #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        }
        #expect(peak.load(ordering: .sequentiallyConsistent) == 2)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test(
        arguments: [
            .concurrency("ü/=", max: 1),
            .floating("api", initialMax: 5, refreshEvery: .seconds(60), metadata: ["url": "x"]),
            .rate("emails", key: "acme", 100, per: .minutes(1)),
            .rate("emails", key: "acme", 100, per: .hours(2), hits: 3, algorithm: .leakyBucket()),
            .rate(
                "emails", key: "acme", 100, per: .calendar(.month), algorithm: .leakyBucket(burst: 7),
                behavior: [.drainOverLimit, .global]),
            .rate(
                "emails", key: "acme", 1, per: .milliseconds(1), hits: 0, behavior: .resetRemaining,
                retry: .init(
                    initialBackoff: .milliseconds(5), maxBackoff: .seconds(1), factor: 1.5, retriesMax: 3
                )),
            .rate("emails", key: "acme", 1, per: .calendar(.minute)),
        ] as [JobLimit])
    func aLimitComesBackAsItWasGiven(limit: JobLimit) async throws {
        let server = try await TestServer()
        var job = try NewJob("g", 1)
        job.limits = [limit, .concurrency("other", max: 9)]
        let handle = try await server.client.enqueue(job)
        #expect(try await handle.info().limits == job.limits)
        await server.stop()
    }

    @Test func aLimitOutOfBoundsIsRefusedByName() async throws {
        let server = try await TestServer()
        for (limits, text) in [
            ([.concurrency("a", max: 0)], "limits[0].concurrency.max_concurrency must be at least 1, not 0"),
            ([.concurrency("a", max: 1), .concurrency("a", max: 2)], "limits[1] names the same limit as an earlier entry"),
            (
                [.rate("n", key: "k", 5, per: .seconds(1), hits: 6)],
                "limits[0].rate_limit.hits must be at most what the bucket has room for, between 0 and 5, not 6"
            ),
        ] as [([JobLimit], String)] {
            var job = try NewJob("g", 1)
            job.limits = limits
            await #expect(throws: ClientError.invalidArgument(text)) { try await server.client.enqueue(job) }
        }
        await server.stop()
    }

    @Test func aRateLimitHoldsJobsBackAndABoundOnItsRetriesFailsThem() async throws {
        let server = try await TestServer()
        let (worker, task) = server.worker("g") { _ in .succeeded(.empty) }
        var job = try NewJob("g", 1)
        job.limits = [.rate("emails", key: "acme", 1, per: .hours(1))]
        let first = try await server.client.enqueue(job)
        #expect(try await first.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        let second = try await server.client.enqueue(job)
        job.limits = [.rate("emails", key: "acme", 1, per: .hours(1), retry: .init(
            initialBackoff: .milliseconds(1), maxBackoff: .milliseconds(2), retriesMax: 1
        ))]
        let third = try await server.client.enqueue(job)
        let result = try await third.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        guard case .failed(code: "RATE_LIMITED", _) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(try await second.status() == .scheduled)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func droppedHoldersLetOthersStart() async throws {
        let server = try await TestServer { $0.tenancy = true }
        let started = Tally()
        let release = Gate()
        let (worker, task) = server.worker("g") { _ in
            started.add()
            await release.wait()
            return .succeeded(.empty)
        }
        var job = try NewJob("g", 1)
        job.tenant = "acme"
        job.limits = [.concurrency("db", max: 1)]
        let handles = try await server.client.enqueue([job, job]).map { try $0.get() }
        try await started.until(1)
        #expect(try await server.client.dropHolders(tenant: "other") == 0)
        #expect(try await server.client.dropHolders(tenant: "acme", key: "cache") == 0)
        #expect(try await server.client.dropHolders(tenant: "acme", key: "db") == 1)
        try await started.until(2)
        release.open()
        for handle in handles {
            #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        }
        await #expect(throws: ClientError.invalidArgument("tenant id required")) { try await server.client.dropHolders() }
        let empty = ClientError.invalidArgument("limit_key is required")
        await #expect(throws: empty) { try await server.client.dropHolders(tenant: "acme", key: "") }
        #expect(try await server.client.dropHolders(tenant: "acme") == 0)
        worker.stop()
        await task.value
        await server.stop()
    }
}
