import Foundation
@testable import SiloClient
import SiloEngine
import SiloServer
import Synchronization
import TestSupport
import Testing

/// Refreshes of floating limits in a worker.
@Suite(.timeLimit(.minutes(10))) struct RefreshTests {
    private struct Broken: Error {}

    /// A job that needs a slot of the floating limit `key`.
    private func job(_ key: String = "api", group: String = "g", refreshEvery: Duration = .seconds(600)) throws -> NewJob {
        var job = try NewJob(group, key)
        job.limits = [.floating(key, initialMax: 1, refreshEvery: refreshEvery, metadata: ["of": key])]
        return job
    }

    @Test func aRefreshRaisesTheLimit() async throws {
        let server = try await TestServer()
        let seen = Box<RefreshContext>()
        let started = Tally()
        let release = Gate()
        let (worker, task) = server.worker("g") { _ in
            started.add()
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            seen.add(limit)
            return limit.currentMax + 2
        }
        let handles = try await server.client.enqueue((0..<4).map { _ in try job() }).map { try $0.get() }
        try await started.until(3)
        let limit = try #require(seen.all.first)
        #expect((limit.key, limit.group, limit.currentMax, limit.metadata) == ("api", "g", 1, ["of": "api"]))
        #expect(limit.tenant == nil && limit.lastRefreshedAt == nil && !limit.isCancelled)
        var waiting: [JobExplanation] = []
        for handle in handles {
            let explanation = try await handle.explain()
            if explanation.status == .scheduled { waiting.append(explanation) }
        }
        #expect(waiting.count == 1)
        #expect(waiting.first?.obstacles.first.map { $0.kind == .floating && $0.max == 3 && $0.inUse == 3 } ?? false)
        release.open()
        for handle in handles {
            #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        }
        #expect(seen.count == 1)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aThrownErrorKeepsTheLimitAndItIsAskedAgain() async throws {
        let server = try await TestServer()
        let errors = Box<WorkerError>()
        let tries = Box<UInt32>()
        let started = Tally()
        let release = Gate()
        let (worker, task) = server.worker("g", { options in options.onError = { errors.add($0) } }) { _ in
            started.add()
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            tries.add(limit.currentMax)
            if tries.count == 1 { throw Broken() }
            return 5
        }
        for _ in 0..<3 { try await server.client.enqueue(job()) }
        try await started.until(3)
        #expect(tries.all == [1, 1])
        #expect(errors.count == 0)
        release.open()
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aWorkerWithoutAHandlerFailsTheRefreshAndSaysSoOnce() async throws {
        let server = try await TestServer()
        let errors = Box<WorkerError>()
        let started = Tally()
        let release = Gate()
        let (worker, task) = server.worker("g", { options in options.onError = { errors.add($0) } }) { _ in
            started.add()
            await release.wait()
            return .succeeded(.empty)
        }
        // Two limits, so that at least two refreshes come.
        for key in ["a", "a", "b", "b"] { try await server.client.enqueue(job(key)) }
        try await started.until(2)
        try await errors.until(1)
        // Another worker of the group, which has one, gets them after the pause that follows a failure.
        let refreshed = Box<String>()
        let (other, otherTask) = server.worker("g") { _ in .succeeded(.empty) } refresh: { limit in
            refreshed.add(limit.key)
            return 2
        }
        worker.stop()
        try await refreshed.until { Set($0) == ["a", "b"] }
        release.open()
        await task.value
        let error = try #require(errors.all.first)
        #expect(errors.count == 1)
        #expect(error.doing == .refreshing && error.jobID == nil && ["a", "b"].contains(error.limitKey))
        #expect("\(error)".contains("refresh handler"))
        other.stop()
        await otherTask.value
        await server.stop()
    }

    @Test func stoppingFinishesTheRefreshesInHand() async throws {
        let server = try await TestServer()
        let started = Box<String>()
        let release = Gate()
        // The first job runs until then, so that the others wait: a refresh is due when somebody does.
        let (worker, task) = server.worker("g") { _ in
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            started.add(limit.key)
            await release.wait()
            return 7
        }
        for _ in 0..<9 { try await server.client.enqueue(job()) }
        try await started.until(1)
        worker.stop()
        release.open()
        await task.value
        // It was reported: the limit is what the handler said.
        let gate = Gate()
        let others = Tally()
        let (other, otherTask) = server.worker("g") { _ in
            others.add()
            await gate.wait()
            return .succeeded(.empty)
        }
        for _ in 0..<9 { try await server.client.enqueue(job()) }
        try await others.until(7)
        gate.open()
        other.stop()
        await otherTask.value
        await server.stop()
    }

    @Test func refreshesTakeNoSlotsFromJobsAndRunFourAtOnce() async throws {
        let server = try await TestServer { $0.shardCount = 1 }
        let running = Tally()
        let peak = Atomic(0)
        let jobs = Tally()
        let done = Box<String>()
        let release = Gate()
        let (worker, task) = server.worker("g", { $0.concurrency = 20 }) { task in
            guard try task.payload.decode(as: String.self).hasPrefix("limit") else { return .succeeded(.empty) }
            jobs.add()
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            peak.max(running.add(), ordering: .sequentiallyConsistent)
            await release.wait()
            running.add(-1)
            done.add(limit.key)
            return 2
        }
        for key in (0..<9).map({ "limit-\($0)" }) { for _ in 0..<2 { try await server.client.enqueue(job(key)) } }
        try await jobs.until(9)
        try await running.until(4)
        #expect(worker.runningTasks == 9, "refreshes take no place from them")
        // Jobs go on meanwhile.
        let handle = try await server.client.enqueue(NewJob("g", "free"))
        #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        release.open()
        try await done.until(9)
        #expect(peak.load(ordering: .sequentiallyConsistent) == 4)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func heartbeatsOfARefreshAreTaken() async throws {
        let server = try await TestServer()
        let started = Box<String>()
        let jobs = Tally()
        let release = Gate()
        let (worker, task) = server.worker("g", { $0.heartbeatInterval = .milliseconds(40) }) { _ in
            jobs.add()
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            started.add(limit.taskID)
            // Its own among those of the job that runs.
            try await server.transport.heartbeats.until(10)
            return 2
        }
        for _ in 0..<2 { try await server.client.enqueue(job()) }
        try await jobs.until(2)
        #expect(started.count == 1)
        release.open()
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aLostRefreshStopsTheHandlerAndIsNotReported() async throws {
        let server = try await TestServer { $0.engine.leaseMilliseconds = 4000 }
        let errors = Box<WorkerError>()
        let cancelled = Box<Bool>()
        server.transport.losesHeartbeats = true
        var options = WorkerOptions()
        options.wait = .seconds(1)
        options.onError = { errors.add($0) }
        let worker = Worker(server.client, group: "g", options) { task in
            // It loses its lease as well, and gives up its slot then.
            await untilCancelled()
            return .succeeded(.empty)
        } refresh: { limit in
            guard cancelled.count == 0 else { return 1 }
            await untilCancelled()
            cancelled.add(limit.isCancelled)
            return 1_000_000
        }
        let task = Task { await worker.run() }
        let handles = try await server.client.enqueue((0..<3).map { _ in try job() }).map { try $0.get() }
        try await errors.until { $0.contains { $0.doing == .holding && $0.limitKey == "api" } }
        try await cancelled.until(1)
        #expect(cancelled.all == [true])
        #expect(!errors.all.contains { $0.doing == .reporting && $0.limitKey != nil })
        // What the handler said in the end did not count.
        for handle in handles {
            #expect(try await handle.explain().obstacles.filter { $0.kind == .floating }.allSatisfy { $0.max == 1 })
        }
        task.cancel()
        await task.value
        await server.stop()
    }
}
