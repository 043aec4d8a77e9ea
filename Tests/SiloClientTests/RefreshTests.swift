import Foundation
@testable import SiloClient
import SiloEngine
import SiloServer
import Synchronization
import Testing

/// Refreshes of floating limits in a worker.
@Suite struct RefreshTests {
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
        let release = Gate()
        let (worker, task) = server.worker("g") { _ in
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            seen.add(limit)
            return limit.currentMax + 2
        }
        let handles = try await server.client.enqueue((0..<4).map { _ in try job() }).map { try $0.get() }
        try await eventually { worker.runningTasks == 3 }
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
            #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(20)) == .succeeded(.empty))
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
        let release = Gate()
        let (worker, task) = server.worker("g", { options in options.onError = { errors.add($0) } }) { _ in
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            tries.add(limit.currentMax)
            if tries.count == 1 { throw Broken() }
            return 5
        }
        for _ in 0..<3 { try await server.client.enqueue(job()) }
        try await eventually { worker.runningTasks == 3 }
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
        let release = Gate()
        let (worker, task) = server.worker("g", { options in options.onError = { errors.add($0) } }) { _ in
            await release.wait()
            return .succeeded(.empty)
        }
        // Two limits, so that at least two refreshes come.
        for key in ["a", "a", "b", "b"] { try await server.client.enqueue(job(key)) }
        try await eventually { worker.runningTasks == 2 && errors.count == 1 }
        // Another worker of the group, which has one, gets them after the pause that follows a failure.
        let refreshed = Box<String>()
        let (other, otherTask) = server.worker("g") { _ in .succeeded(.empty) } refresh: { limit in
            refreshed.add(limit.key)
            return 2
        }
        worker.stop()
        try await eventually { Set(refreshed.all) == ["a", "b"] }
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
        let (worker, task) = server.worker("g") { _ in .succeeded(.empty) } refresh: { limit in
            started.add(limit.key)
            try await Task.sleep(for: .milliseconds(400))
            return 7
        }
        for _ in 0..<9 { try await server.client.enqueue(job()) }
        try await eventually { started.count == 1 }
        worker.stop()
        await task.value
        // It was reported: the limit is what the handler said.
        let gate = Gate()
        let (other, otherTask) = server.worker("g") { _ in
            await gate.wait()
            return .succeeded(.empty)
        }
        for _ in 0..<9 { try await server.client.enqueue(job()) }
        try await eventually { other.runningTasks == 7 }
        gate.open()
        other.stop()
        await otherTask.value
        await server.stop()
    }

    @Test func refreshesTakeNoSlotsFromJobsAndRunFourAtOnce() async throws {
        let server = try await TestServer { $0.shardCount = 1 }
        let running = Atomic(0)
        let peak = Atomic(0)
        let done = Box<String>()
        let release = Gate()
        let (worker, task) = server.worker("g", { $0.concurrency = 20 }) { task in
            if try task.payload.decode(as: String.self).hasPrefix("limit") { await release.wait() }
            return .succeeded(.empty)
        } refresh: { limit in
            peak.max(running.add(1, ordering: .sequentiallyConsistent).newValue, ordering: .sequentiallyConsistent)
            await release.wait()
            running.subtract(1, ordering: .sequentiallyConsistent)
            done.add(limit.key)
            return 2
        }
        for key in (0..<9).map({ "limit-\($0)" }) { for _ in 0..<2 { try await server.client.enqueue(job(key)) } }
        try await eventually { worker.runningTasks == 9 && running.load(ordering: .sequentiallyConsistent) == 4 }
        // Jobs go on meanwhile.
        let handle = try await server.client.enqueue(NewJob("g", "free"))
        #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(20)) == .succeeded(.empty))
        release.open()
        try await eventually { done.count == 9 }
        #expect(peak.load(ordering: .sequentiallyConsistent) == 4)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func heartbeatsKeepARefreshThatWouldElseExpire() async throws {
        let server = try await TestServer { $0.engine.leaseMilliseconds = 4000 }
        let started = Box<String>()
        let release = Gate()
        let (worker, task) = server.worker("g", { $0.heartbeatInterval = .milliseconds(250) }) { _ in
            await release.wait()
            return .succeeded(.empty)
        } refresh: { limit in
            started.add(limit.taskID)
            try await Task.sleep(for: .milliseconds(9000))
            return 2
        }
        for _ in 0..<2 { try await server.client.enqueue(job()) }
        try await eventually(60) { worker.runningTasks == 2 }
        try await eventually(60) { started.count > 0 }
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
        let mute = MuteTransport(server.node.address)
        mute.losesHeartbeats = true
        let client = Client(ClientOptions(servers: [server.node.address]), in: Lanes.system) { _, _ in mute }
        var options = WorkerOptions()
        options.wait = .seconds(1)
        options.onError = { errors.add($0) }
        let worker = Worker(client, group: "g", options) { task in
            // It loses its lease as well, and gives up its slot then.
            try? await Task.sleep(for: .seconds(60))
            return .succeeded(.empty)
        } refresh: { limit in
            guard cancelled.count == 0 else { return 1 }
            try? await Task.sleep(for: .seconds(60))
            cancelled.add(limit.isCancelled)
            return 1_000_000
        }
        let task = Task { await worker.run() }
        let handles = try await server.client.enqueue((0..<3).map { _ in try job() }).map { try $0.get() }
        try await eventually { errors.all.contains { $0.doing == .holding && $0.limitKey == "api" } }
        try await eventually { cancelled.count == 1 }
        #expect(cancelled.all == [true])
        #expect(!errors.all.contains { $0.doing == .reporting && $0.limitKey != nil })
        // What the handler said in the end did not count.
        for handle in handles {
            #expect(try await handle.explain().obstacles.filter { $0.kind == .floating }.allSatisfy { $0.max == 1 })
        }
        task.cancel()
        await task.value
        client.close()
        await server.stop()
    }
}
