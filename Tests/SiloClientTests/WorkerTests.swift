import Foundation
@testable import SiloClient
import SiloEngine
import SiloServer
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct WorkerTests {
    @Test func noMoreHandlersRunThanAllowedAndAllJobsAreDone() async throws {
        let server = try await TestServer()
        let running = Tally()
        let peak = Atomic(0)
        let (worker, task) = server.worker("g", { $0.concurrency = 4 }) { task in
            peak.max(running.add(), ordering: .sequentiallyConsistent)
            // As many run at once as may, and if there is a fifth it comes meanwhile.
            if peak.load(ordering: .sequentiallyConsistent) < 4 { try await running.until(4) }
            await Task.yield()
            running.add(-1)
            return .succeeded(task.payload)
        }
        let handles = try await server.client.enqueue((0..<200).map { try NewJob("g", $0) }).map { try $0.get() }
        for handle in handles {
            guard case .succeeded = try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) else {
                Issue.record("job \(handle.id) did not succeed")
                continue
            }
        }
        #expect(peak.load(ordering: .sequentiallyConsistent) == 4)
        worker.stop()
        await task.value
        #expect(worker.runningTasks == 0)
        await server.stop()
    }

    @Test func aThrownErrorFailsTheAttemptAndIsRetried() async throws {
        struct Broken: Error {}
        let server = try await TestServer()
        let (worker, task) = server.worker("g") { task in
            if task.attempt < 3 { throw Broken() }
            #expect(task.isLastAttempt)
            return .failed(code: "GIVE_UP", data: try Payload(task.attempt))
        }
        var job = try NewJob("g", 1)
        job.retry = RetryPolicy(retries: 2, initialInterval: .milliseconds(1), maxInterval: .milliseconds(10))
        let handle = try await server.client.enqueue(job)
        let result = try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        #expect(try result == .failed(code: "GIVE_UP", data: Payload(3)))
        let attempts = try await handle.info(attempts: true).attempts
        #expect(attempts.map(\.number) == [1, 2, 3])
        guard case .failed(let code, let data) = attempts[0].outcome else { throw Broken() }
        #expect(code == "HANDLER_ERROR")
        #expect(try data.decode(as: [String: String].self)["message"]?.contains("Broken") ?? false)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func cancellingTheJobCancelsTheHandler() async throws {
        let server = try await TestServer()
        let started = Box<String>()
        let (worker, task) = server.worker("g", { $0.heartbeatInterval = .milliseconds(40) }) { task in
            started.add(task.jobID)
            await untilCancelled()
            #expect(task.isCancelled)
            return .succeeded(.empty)
        }
        let handle = try await server.client.enqueue(NewJob("g", 1))
        try await started.until(1)
        try await handle.cancel()
        #expect(try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .cancelled)
        worker.stop()
        await task.value
        await server.stop()
    }

    /// That they keep a lease which would else expire is shown in simulated time.
    @Test func heartbeatsOfARunningJobAreTaken() async throws {
        let server = try await TestServer()
        let (worker, task) = server.worker("g", { $0.heartbeatInterval = .milliseconds(40) }) { task in
            try await server.transport.heartbeats.until(3)
            return try .success(task.attempt)
        }
        let handle = try await server.client.enqueue(NewJob("g", 1))
        let result = try await handle.awaitResult(every: .milliseconds(20), timeout: .seconds(300))
        #expect(try result == .succeeded(Payload(1)))
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aLostLeaseStopsTheHandlerAndIsNotReported() async throws {
        let server = try await TestServer {
            $0.engine.leaseMilliseconds = 1500
            // The attempt counts though its worker was never heard.
            $0.engine.unheardLeasesMax = 0
        }
        let errors = Box<WorkerError>()
        let started = Box<UInt32>()
        let ended = Box<UInt32>()
        let mute = server.transport
        var options = WorkerOptions()
        options.wait = .milliseconds(500)
        options.onError = { errors.add($0) }
        let worker = Worker(server.client, group: "g", options) { task in
            started.add(task.attempt)
            // The first that is run loses its heartbeats, and with them its lease.
            if started.all.first == task.attempt {
                mute.losesHeartbeats = true
                await untilCancelled()
                mute.losesHeartbeats = false
            }
            ended.add(task.attempt)
            return try .success(task.attempt)
        }
        let running = Task { await worker.run() }
        var job = try NewJob("g", 1)
        job.retry = RetryPolicy(retries: 1000, initialInterval: .milliseconds(1), maxInterval: .milliseconds(1), jitter: false)
        let handle = try await server.client.enqueue(job)
        let result = try await handle.awaitResult(every: .milliseconds(20), timeout: .seconds(300))
        // The next, or a later one when this machine is too busy for a lease as short as that.
        guard case .succeeded(let payload) = result else { throw ClientError.jobNotFinished("\(result)") }
        let lost = try #require(started.all.first)
        #expect(try payload.decode(as: UInt32.self) > lost)
        try await ended.until { $0.contains(lost) }
        try await errors.until { $0.contains { $0.doing == .holding && $0.jobID == handle.id } }
        worker.stop()
        await running.value
        await server.stop()
    }

    @Test func stoppingFinishesWhatRunsAndTakesNoMore() async throws {
        let server = try await TestServer()
        let started = Box<String>()
        let release = Gate()
        let (worker, task) = server.worker("g", { $0.concurrency = 2 }) { task in
            started.add(task.jobID)
            await release.wait()
            return .succeeded(.empty)
        }
        let handles = try await server.client.enqueue((0..<6).map { try NewJob("g", $0) }).map { try $0.get() }
        try await started.until(2)
        worker.stop()
        release.open()
        await task.value
        var finished = 0
        for handle in handles where try await handle.status() == .succeeded { finished += 1 }
        #expect(finished == 2)
        #expect(started.count == 2)
        await server.stop()
    }

    @Test func aFailingServerIsToldToTheCallback() async throws {
        let server = try await TestServer()
        let errors = Box<WorkerError>()
        let (worker, task) = server.worker("g", { options in
            options.pollInterval = .milliseconds(20)
            options.onError = { errors.add($0) }
        }) { _ in .succeeded(.empty) }
        await server.node.stop()
        try await errors.until { $0.contains { $0.doing == .leasing } }
        worker.stop()
        await task.value
        server.client.close()
    }
}
