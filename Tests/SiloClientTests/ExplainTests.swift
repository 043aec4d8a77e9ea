import Foundation
import SiloClient
import SiloEngine
import SiloServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ExplainTests {
    @Test func aJobWithoutAWorkerSaysSo() async throws {
        let server = try await TestServer()
        let handle = try await server.client.enqueue(NewJob("g", 1))
        let explanation = try await handle.explain()
        #expect((explanation.status, explanation.group, explanation.attempt) == (.scheduled, "g", 1))
        #expect(explanation.obstacles.map(\.kind) == [.noWorker])
        #expect(explanation.obstacles[0].blocksNow && explanation.summary.contains(explanation.obstacles[0].text))
        #expect(explanation.workersWaiting == 0 && explanation.lastPoll == nil && explanation.estimatedStart == nil)
        await #expect(throws: ClientError.jobNotFound("nobody")) { try await server.client.job("nobody").explain() }
        await server.stop()
    }

    @Test func aLaterJobNamesItsTime() async throws {
        let server = try await TestServer()
        var job = try NewJob("g", 1)
        let start = Date(timeIntervalSince1970: Date(timeIntervalSinceNow: 3600).timeIntervalSince1970.rounded())
        job.startAt = start
        let explanation = try await server.client.enqueue(job).explain()
        #expect(explanation.earliestStart == start)
        #expect(explanation.obstacles.first?.kind == .timer && explanation.obstacles.first?.until == start)
        await server.stop()
    }

    @Test func aHeldLimitNamesItsHoldersAndWhoIsAhead() async throws {
        let server = try await TestServer()
        let release = Gate()
        let started = Tally()
        let (worker, task) = server.worker("g", { $0.id = "w1" }) { _ in
            started.add()
            await release.wait()
            return .succeeded(.empty)
        }
        var job = try NewJob("g", 1)
        job.limits = [.concurrency("db", max: 1)]
        let first = try await server.client.enqueue(job)
        try await started.until(1)
        try await server.client.enqueue(job)
        job.priority = 51
        let last = try await server.client.enqueue(job)
        let explanation = try await last.explain()
        let obstacle = try #require(explanation.obstacles.first)
        #expect((obstacle.kind, obstacle.key, obstacle.max, obstacle.inUse, obstacle.ahead) == (.concurrency, "db", 1, 1, 1))
        #expect(obstacle.blocksNow && !obstacle.aheadIsLeast)
        #expect(obstacle.holders.map(\.jobID) == [first.id])
        #expect(obstacle.holders.first?.running?.worker == "w1")
        #expect(obstacle.holders.first?.running.map { abs($0.since.timeIntervalSinceNow) < 60 } ?? false)
        #expect(try await first.explain().obstacles.isEmpty)
        #expect(try await first.explain().status == .running)
        release.open()
        _ = try await last.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aRateLimitNamesWhenItHasRoom() async throws {
        let server = try await TestServer()
        let (worker, task) = server.worker("g") { _ in .succeeded(.empty) }
        var job = try NewJob("g", 1)
        job.limits = [.rate("emails", key: "acme", 1, per: .hours(1))]
        _ = try await server.client.enqueue(job).awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        let explanation = try await server.client.enqueue(job).explain()
        let obstacle = try #require(explanation.obstacles.first)
        #expect((obstacle.kind, obstacle.key, obstacle.max, obstacle.inUse) == (.rate, "emails/acme", 1, 1))
        #expect(obstacle.until.map { $0.timeIntervalSinceNow > 3000 && $0.timeIntervalSinceNow < 3601 } ?? false)
        #expect(explanation.earliestStart == obstacle.until)
        worker.stop()
        await task.value
        await server.stop()
    }
}
