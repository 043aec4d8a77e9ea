import Foundation
import GRPC
import SiloEngine
import SiloServer
import TestSupport
import Testing

@testable import SiloClient

@Suite(.timeLimit(.minutes(10))) struct ClientTests {
    struct Photo: Codable, Equatable { var id: Int; var tags: [String]; var ratio: Double?; var small: Bool }

    @Test func aJobIsEnqueuedWorkedOnAndItsResultComesBack() async throws {
        let server = try await TestServer()
        let (worker, running) = server.worker("double") { task in
            let number = try task.payload.decode(as: Int.self)
            return try .success(number * 2)
        }
        let handle = try await server.client.enqueue(NewJob("double", 21))
        let result = try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        #expect(try result == .succeeded(Payload(42)))
        #expect(try await handle.status() == .succeeded)
        worker.stop()
        await running.value
        await server.stop()
    }

    @Test func aPayloadIsAMessagePackDocument() throws {
        let photo = Photo(id: -7, tags: ["a", "ü"], ratio: 0.5, small: true)
        let payload = try Payload(photo)
        #expect(try payload.decode(as: Photo.self) == photo)
        #expect(MessagePack(payload.bytes) == .map([
            (.text("id"), .integer(-7)), (.text("ratio"), .float(0.5)), (.text("small"), .bool(true)),
            (.text("tags"), .array([.text("a"), .text("ü")])),
        ]))
        #expect(MessagePack([0xc1]) == nil)
        #expect(MessagePack([0x92, 0x01]) == nil)
        #expect(MessagePack([0x01, 0x02]) == nil)
        #expect(MessagePack([UInt8](repeating: 0x91, count: 100_000)) == nil)
        #expect(throws: ClientError.self) { try Payload(bytes: [0xc1]).decode(as: Int.self) }
    }

    @Test func manyJobsGoInOneCallAndEachHasItsResult() async throws {
        let server = try await TestServer()
        var jobs = try (0..<2500).map { try NewJob("many", $0) }
        jobs[3].id = "same"
        jobs[7].id = "same"
        jobs[9].priority = 100
        let results = try await server.client.enqueue(jobs)
        #expect(results.count == jobs.count)
        for (index, result) in results.enumerated() {
            switch (index, result) {
            case (7, .failure(let error)): #expect(error == .jobAlreadyExists("same"))
            case (9, .failure(let error)): #expect(error == .invalidArgument("priority must be between 0 and 99"))
            case (_, .success): break
            default: Issue.record("job \(index): \(result)")
            }
        }
        await server.stop()
    }

    @Test func aHandleDoesWhatItSays() async throws {
        let server = try await TestServer()
        var job = try NewJob("later", "x")
        job.startAt = Date(timeIntervalSinceNow: 3600)
        job.metadata = ["k": "v"]
        let handle = try await server.client.enqueue(job)
        await #expect { try await handle.result() } throws: { error in
            guard case .jobNotFinished = error as? ClientError else { return false }
            return true
        }
        await #expect { try await handle.delete() } throws: { error in
            guard case .refused(let text) = error as? ClientError else { return false }
            return text.contains("cannot delete job")
        }
        await #expect(throws: ClientError.self) {
            try await handle.awaitResult(every: .milliseconds(5), timeout: .milliseconds(30))
        }
        try await handle.expedite()
        let info = try await handle.info(attempts: true)
        #expect(info.metadata == ["k": "v"])
        #expect(info.nextAttemptAt.map { $0 < Date(timeIntervalSinceNow: 60) } ?? false)
        try await handle.cancel()
        #expect(try await handle.result() == .cancelled)
        await #expect { try await handle.cancel() } throws: { $0 as? ClientError == .refused("job is already cancelled") }
        try await handle.restart()
        #expect(try await handle.status() == .scheduled)
        try await handle.cancel()
        try await handle.delete()
        await #expect { try await handle.info() } throws: { $0 as? ClientError == .jobNotFound(handle.id) }
        await server.stop()
    }

    @Test func metadataNamesThatUnicodeHoldsEqualAreNotMerged() async throws {
        let server = try await TestServer()
        let metadata: JobMetadata = ["\u{E9}": "one", "e\u{301}": "two", "\u{C5}": "three", "\u{212B}": "four"]
        #expect(metadata.count == 4)
        var job = try NewJob("g", 1)
        job.metadata = metadata
        let handle = try await server.client.enqueue(job)
        #expect(try await handle.info().metadata == metadata)
        let seen = Box<JobMetadata>()
        let (worker, running) = server.worker("g", handler: { task in
            seen.add(task.metadata)
            return try .success(0)
        })
        _ = try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        worker.stop()
        await running.value
        #expect(seen.all == [metadata])
        await server.stop()
    }

    @Test func aJobThatDoesNotFitAnAnswerIsReadInParts() async throws {
        let server = try await TestServer()
        let large = Payload(bytes: Array(repeating: 7, count: 60 << 20))
        var job = NewJob("g", payload: large)
        job.retry = RetryPolicy(retries: 2, initialInterval: .zero)
        let moment = Date(timeIntervalSince1970: 1)
        let failed = ImportedJob.Attempt(startedAt: moment, finishedAt: moment, .failed(code: "E", data: large))
        #expect(try await server.client.importJobs([ImportedJob(id: "large", job, attempts: [failed])])[0].get() == .scheduled)
        let (worker, running) = server.worker("g", handler: { task in
            task.isLastAttempt ? .succeeded(large) : .failed(code: "E", data: large)
        })
        let handle = server.client.job("large")
        #expect(try await handle.awaitResult(every: .milliseconds(50), timeout: .seconds(300)) == .succeeded(large))
        worker.stop()
        await running.value
        let info = try await handle.info(attempts: true)
        #expect(info.payload == large)
        #expect(info.attempts.map(\.number) == [1, 2, 3])
        #expect(
            info.attempts.map(\.outcome) == [.failed(code: "E", data: large), .failed(code: "E", data: large), .succeeded(large)])
        #expect(try await handle.info().attempts.isEmpty)
        #expect(try await handle.status() == .succeeded)
        await server.stop()
    }

    @Test func aServerThatIsAwayIsTriedAgainUntilItIsBack() async throws {
        let first = try await TestServer()
        let address = first.node.address
        await first.stop()
        var options = ClientOptions(servers: [address])
        options.retryPause = .milliseconds(50)
        options.retriesMax = 1000
        let transport = WatchedTransport(address)
        let client = Client(options, in: Lanes.system) { _, _ in transport }
        async let pending = client.enqueue(NewJob("g", 1))
        try await transport.failures.until(3)
        let second = try await TestServer { $0.address = address }
        let handle = try await pending
        #expect(try await handle.status() == .scheduled)
        await second.stop()

        options.retriesMax = 1
        let impatient = Client(options)
        await #expect { try await impatient.enqueue(NewJob("g", 1)) } throws: { error in
            guard case .unavailable = error as? ClientError else { return false }
            return true
        }
    }

    @Test func tenantsFindTheirShardsAndASecretIsNeeded() async throws {
        let server = try await TestServer { settings in
            settings.tenancy = true
            settings.authToken = "s3cret"
            settings.shardCount = 7
        }
        await #expect { try await server.client.ping() } throws: { error in
            guard case .other(let status) = error as? ClientError else { return false }
            return status.code == .unauthenticated
        }
        var options = ClientOptions(servers: [server.node.address])
        options.token = "s3cret"
        let client = Client(options)
        let jobs = try (0..<60).map { index in
            var job = try NewJob("g", index)
            job.tenant = "tenant-\(index % 20)"
            return job
        }
        for result in try await client.enqueue(jobs) {
            let handle = try result.get()
            #expect(try await handle.status() == .scheduled)
        }
        // Unicode holds these two equal; they are two tenants, on whatever shards.
        let accents = try ["\u{E9}", "e\u{301}"].map { tenant in
            var job = try NewJob("g", "accent")
            job.tenant = tenant
            return job
        }
        for (job, result) in zip(accents, try await client.enqueue(accents)) {
            let handle = try result.get()
            #expect(try #require(handle.tenant).utf8.elementsEqual(try #require(job.tenant).utf8))
            #expect(try await handle.status() == .scheduled)
        }
        let imported = try await client.importJobs(accents.map { ImportedJob(id: "imported", $0) })
        #expect(try imported.map { try $0.get() } == [.scheduled, .scheduled])
        await #expect(throws: ClientError.invalidArgument("tenant id required")) { try await client.enqueue(NewJob("g", 1)) }
        client.close()
        await server.stop()
    }
}
