import Foundation
import SiloClient
import SiloEngine
import SiloServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ImportTests {
    private func moment(_ seconds: Double) -> Date { Date(timeIntervalSince1970: 1_700_000_000 + seconds) }

    @Test func jobsComeWithTheirPastAndGoOnWhereTheyWere() async throws {
        let server = try await TestServer()
        let failure = ImportedJob.Attempt(
            startedAt: moment(0), finishedAt: moment(1), .failed(code: "E", data: try Payload("why")))
        let success = ImportedJob.Attempt(startedAt: moment(2), finishedAt: moment(3), .succeeded(try Payload([1, 2])))
        let cancel = ImportedJob.Attempt(startedAt: moment(2), finishedAt: moment(3), .cancelled)
        var retried = try NewJob("g", "again")
        retried.retry = RetryPolicy(retries: 3)
        retried.limits = [.concurrency("db", max: 1)]
        retried.metadata = ["from": "elsewhere"]
        retried.priority = 7
        retried.startAt = Date(timeIntervalSinceNow: 3600)
        let results = try await server.client.importJobs([
            ImportedJob(id: "done", try NewJob("g", 1), enqueuedAt: moment(0), attempts: [failure, success]),
            ImportedJob(id: "failed", try NewJob("g", 1), attempts: [failure]),
            ImportedJob(id: "cancelled", try NewJob("g", 1), attempts: [cancel]),
            ImportedJob(id: "retried", retried, attempts: [failure]),
            ImportedJob(id: "fresh", try NewJob("g", 1)),
        ])
        #expect(
            results == [
                .success(.succeeded), .success(.failed), .success(.cancelled), .success(.scheduled), .success(.scheduled),
            ])
        #expect(try await server.client.job("done").result() == .succeeded(Payload([1, 2])))
        #expect(try await server.client.job("failed").result() == .failed(code: "E", data: Payload("why")))
        let info = try await server.client.job("retried").info(attempts: true)
        #expect((info.priority, info.metadata, info.limits) == (7, ["from": "elsewhere"], retried.limits))
        #expect(info.attempts.map(\.number) == [1])
        #expect(info.attempts.first?.startedAt == moment(0) && info.attempts.first?.finishedAt == moment(1))
        #expect(info.nextAttemptAt.map { $0.timeIntervalSinceNow > 3000 } ?? false)
        await server.stop()
    }

    @Test func eachRefusalIsTheJobsOwn() async throws {
        let server = try await TestServer()
        let started = Tally()
        let (_, task) = server.worker("busy") { _ in
            started.add()
            await untilCancelled()
            return .cancelled
        }
        let busy = [ImportedJob(id: "b1", try NewJob("busy", 1)), ImportedJob(id: "b2", try NewJob("busy", 1))]
        _ = try await server.client.importJobs(busy)
        try await started.until(2)
        // When all of them run the server refuses the call as a whole.
        for (job, result) in zip(busy, try await server.client.importJobs(busy)) {
            guard case .failure(.refused(let text)) = result else { Issue.record("\(result)"); continue }
            #expect(text.contains(job.id) && text.contains("currently running"))
        }

        let success = ImportedJob.Attempt(startedAt: moment(2), finishedAt: moment(3), .succeeded(.empty))
        let done = ImportedJob(id: "done", try NewJob("g", 1), attempts: [success])
        var wrong = try NewJob("g", 1)
        wrong.priority = 100
        let results = try await server.client.importJobs([
            done, ImportedJob(id: "wrong", wrong), ImportedJob(id: "", try NewJob("g", 1)), done,
            ImportedJob(id: "order", try NewJob("g", 1), attempts: [success, success]),
        ])
        #expect(results[0] == .success(.succeeded))
        #expect(results[1] == .failure(.invalidArgument("priority must be between 0 and 99")))
        #expect(results[2] == .failure(.invalidArgument("job id is required for import")))
        guard case .failure(.refused(let text)) = results[3] else {
            Issue.record("\(results[3])")
            return
        }
        #expect(text.contains("already succeeded"))
        guard case .failure(.invalidArgument) = results[4] else {
            Issue.record("\(results[4])")
            return
        }
        task.cancel()
        await task.value
        await server.stop()
    }

    @Test func manyJobsOfManyTenantsKeepTheirOrder() async throws {
        let server = try await TestServer { settings in
            settings.tenancy = true
            settings.shardCount = 5
        }
        let jobs = try (0..<1500).map { index in
            var job = try NewJob("g", index)
            job.tenant = index % 3 == 0 ? "one" : "tenant-\(index % 7)"
            if index == 777 { job.group = "" }
            return ImportedJob(id: "job-\(index)", job)
        }
        let results = try await server.client.importJobs(jobs)
        #expect(results.count == jobs.count)
        for (index, result) in results.enumerated() {
            #expect(
                index == 777 ? result == .failure(.invalidArgument("task_group is required")) : result == .success(.scheduled))
        }
        #expect(try await server.client.job("job-42", tenant: "one").info().payload == Payload(42))
        #expect(try await server.client.importJobs([]).isEmpty)
        await server.stop()
    }

    @Test func aServerThatIsAwayRefusesEachJobAfterAllRetries() async throws {
        let server = try await TestServer()
        var options = ClientOptions(servers: [server.node.address])
        options.retriesMax = 1
        options.retryPause = .milliseconds(10)
        await server.stop()
        let results = try await Client(options).importJobs([ImportedJob(id: "a", try NewJob("g", 1))])
        guard case .failure(.unavailable) = results.first else {
            Issue.record("\(results)")
            return
        }
    }
}
