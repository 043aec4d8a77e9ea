import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloServer
import SiloTesting
import TestSupport
import Testing

/// Jobs that are enqueued at the same time share calls, on simulated time.
@Suite(.timeLimit(.minutes(10))) struct EnqueueTests {
    private static let away = Status(.unavailable, "away")

    private static func isEnqueue(_ path: String) -> Bool {
        path == SiloV1.Silo.enqueue.path || path == SiloV1.Silo.enqueueBatch.path
    }

    private static func job(_ id: String? = nil, tenant: String? = nil, bytes: Int = 1) -> NewJob {
        var job = NewJob("g", payload: Payload(bytes: [UInt8](repeating: 7, count: bytes)))
        job.id = id
        job.tenant = tenant
        return job
    }

    /// A client that knows its shards, whose enqueues take a tenth of a second.
    private static func slow(_ server: ScriptedServer) async throws -> Client {
        server.behave { call, _ in isEnqueue(call.path) ? .late(100) : .answer }
        let client = server.client()
        try await client.ping()
        return client
    }

    // MARK: One at a time

    @Test func aJobThatComesAloneGoesAtOnceInACallOfItsOwn() throws {
        try ScriptedServer.simulate { server in
            let client = try await Self.slow(server)
            let begun = server.clock.steady
            for id in ["a", "b"] { try await client.enqueue(Self.job(id)) }
            #expect(server.clock.steady - begun == 200)
            #expect(server.calls("Enqueue").count == 2 && server.calls("EnqueueBatch").isEmpty)
        }
    }

    @Test func thoseThatComeMeanwhileGoTogetherInTheirOrder() throws {
        try ScriptedServer.simulate { server in
            let client = try await Self.slow(server)
            let begun = server.clock.steady
            let names = (0..<10).map { "\($0)" }
            try await withThrowingTaskGroup { group in
                for (index, name) in names.enumerated() {
                    group.addTask {
                        try await server.clock.sleep(milliseconds: Int64(index))
                        try await client.enqueue(Self.job(name))
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.enqueues == [["0"], Array(names.dropFirst())])
            #expect(server.clock.steady - begun == 200)
            #expect(server.calls("EnqueueBatch").first?.timeout == .seconds(30))
        }
    }

    @Test func theyCarryTheToken() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, _ in Self.isEnqueue(call.path) ? .late(100) : .answer }
            let client = server.client { $0.token = "s3cret" }
            try await client.ping()
            try await Self.enqueue(["a", "b", "c"], client)
            #expect(server.calls("EnqueueBatch").map { $0.metadata["authorization"] } == ["Bearer s3cret"])
        }
    }

    /// All at once.
    private static func enqueue(_ ids: [String?], tenant: String? = nil, _ client: Client) async throws {
        try await withThrowingTaskGroup { group in
            for id in ids { group.addTask { try await client.enqueue(job(id, tenant: tenant)) } }
            try await group.waitForAll()
        }
    }

    @Test func shardsDoNotWaitForEachOther() throws {
        try ScriptedServer.simulate { server in
            server.own(ScriptedServer.fourShards)
            let client = try await Self.slow(server)
            let begun = server.clock.steady
            try await withThrowingTaskGroup { group in
                for index in 0..<40 { group.addTask { try await client.enqueue(Self.job(tenant: "tenant-\(index)")) } }
                try await group.waitForAll()
            }
            #expect(server.clock.steady - begun == 200)
            #expect(server.calls("Enqueue").count == 4 && Set(server.calls("EnqueueBatch").map(\.address)).count == 4)
        }
    }

    @Test func eachCallerHasItsOwnResult() throws {
        try ScriptedServer.simulate { server in
            let client = try await Self.slow(server)
            try await client.enqueue(Self.job("old"))
            let results = await Self.results(of: ["first", "a", "old", "b"], client)
            #expect(results == ["first": nil, "a": nil, "old": .jobAlreadyExists("old"), "b": nil])
            #expect(server.enqueues.last.map(Set.init).map { $0.count } == 3)
        }
    }

    private static func results(of ids: [String], _ client: Client) async -> [String: ClientError?] {
        await withTaskGroup { group in
            for id in ids {
                group.addTask { () -> (String, ClientError?) in
                    do throws(ClientError) {
                        try await client.enqueue(job(id))
                        return (id, nil)
                    } catch {
                        return (id, error)
                    }
                }
            }
            return await group.reduce(into: [String: ClientError?]()) { $0.updateValue($1.1, forKey: $1.0) }
        }
    }

    // MARK: Cancelling

    @Test func aCallerThatIsCancelledInLineIsNotSent() throws {
        try ScriptedServer.simulate { server in
            let client = try await Self.slow(server)
            let first = server.environment.start { try? await client.enqueue(Self.job("first")) }
            try await server.got(1, "Enqueue")
            let others = ["a", "b", "c"].map { id in
                server.environment.start { () -> ClientError? in
                    do throws(ClientError) { try await client.enqueue(Self.job(id)) } catch { return error }
                    return nil
                }
            }
            try await server.clock.sleep(milliseconds: 10)
            let begun = server.clock.steady
            others[1].cancel()
            #expect(await others[1].value == .other(Status(.cancelled, "the caller was cancelled")))
            #expect(server.clock.steady == begun)
            #expect(await others[0].value == nil)
            #expect(await others[2].value == nil)
            _ = await first.value
            #expect(Set(server.jobs) == ["first", "a", "c"] && server.enqueues.count == 2)
        }
    }

    @Test func aCallGoesOnForTheOthersAndEndsWithTheLastOfThem() throws {
        try ScriptedServer.simulate { server in
            let client = try await Self.slow(server)
            let first = server.environment.start { try? await client.enqueue(Self.job("first")) }
            try await server.got(1, "Enqueue")
            let two = ["a", "b"].map { id in server.environment.start { (try? await client.enqueue(Self.job(id))) != nil } }
            try await server.got(1, "EnqueueBatch")
            two[0].cancel()
            #expect(await two[0].value == false)
            #expect(await two[1].value)
            _ = await first.value
            #expect(Set(server.jobs) == ["first", "a", "b"])

            let leader = server.environment.start { (try? await client.enqueue(Self.job("leader"))) != nil }
            try await server.got(2, "Enqueue")
            let last = ["x", "y"].map { id in server.environment.start { (try? await client.enqueue(Self.job(id))) != nil } }
            try await server.got(2, "EnqueueBatch")
            for task in last { task.cancel() }
            for task in last { #expect(await task.value == false) }
            #expect(await leader.value)
            try await server.clock.sleep(milliseconds: 200)
            // The call was cancelled before the server did anything.
            #expect(!server.jobs.contains("x") && !server.jobs.contains("y"))
            // The line is free.
            try await client.enqueue(Self.job("after"))
        }
    }

    // MARK: Failures

    @Test func aLostAnswerMakesNoSecondJobAndNobodyElsesIsTakenForIt() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, number in
                guard Self.isEnqueue(call.path) else { return .answer }
                return call.path == SiloV1.Silo.enqueueBatch.path && number == 0 ? .lose(Self.away) : .late(100)
            }
            let client = server.client()
            try await client.ping()
            let first = server.environment.start { try? await client.enqueue(Self.job("first")) }
            try await server.got(1, "Enqueue")
            // The client's own ids, and one of the application's, of which it may be that another job has it.
            async let theirs = Self.results(of: ["theirs"], client)
            try await Self.enqueue([nil, nil, nil], client)
            #expect(await theirs == ["theirs": .jobAlreadyExists("theirs")])
            _ = await first.value
            #expect(server.jobs.count == 5 && Set(server.jobs).count == 5)
            #expect(server.calls("EnqueueBatch").count == 2)
        }
    }

    @Test func aCallThatFailsOrHangsDoesNotHoldUpTheNext() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, number in call.path == SiloV1.Silo.enqueue.path && number == 0 ? .fail(Self.away) : .answer }
            let client = server.client { $0.retryPause = .milliseconds(100) }
            try await client.ping()
            let begun = server.clock.steady
            // It is sent again after a pause; meanwhile another goes.
            let failed = server.environment.start { try? await client.enqueue(Self.job("failed")) }
            try await server.got(1, "Enqueue")
            try await client.enqueue(Self.job("second"))
            #expect(server.clock.steady - begun < 50)
            _ = await failed.value
            #expect(server.jobs == ["second", "failed"])

            server.behave { call, number in call.path == SiloV1.Silo.enqueue.path && number == 3 ? .hang : .answer }
            let hanging = server.environment.start { try? await client.enqueue(Self.job("hanging")) }
            try await server.got(4, "Enqueue")
            let waited = server.clock.steady
            try await Self.enqueue(["x", "y", "z"], client)
            #expect((990...1010).contains(server.clock.steady - waited))
            hanging.cancel()
            _ = await hanging.value
        }
    }

    @Test func whatIsRefusedTogetherGoesAlone() throws {
        try ScriptedServer.simulate { server in
            // Somewhere on the way messages are bounded.
            server.behave { call, _ in
                guard Self.isEnqueue(call.path) else { return .answer }
                guard call.request.count > 3000 else { return .late(100) }
                return .fail(Status(.resourceExhausted, "Received message larger than max"))
            }
            let client = server.client()
            try await client.ping()
            let jobs = ["first", "a", "large", "b"].map { Self.job($0, bytes: $0 == "large" ? 5000 : 10) }
            let refused = await withTaskGroup { group in
                for job in jobs { group.addTask { (try? await client.enqueue(job)) == nil ? job.id : nil } }
                return await group.reduce(into: [String]()) { if let id = $1 { $0.append(id) } }
            }
            #expect(refused == ["large"] && Set(server.jobs) == ["first", "a", "b"])
        }
    }

    @Test func jobsOfAShardThatIsGoneFindTheirNewOne() throws {
        try ScriptedServer.simulate { server in
            server.own([.init(id: "parent", address: "a:1")])
            let client = try await Self.slow(server)
            server.own(ScriptedServer.fourShards)
            server.behave { call, _ in
                Self.isEnqueue(call.path) && call.address == "a:1" ? .fail(Status(.notFound, "shard not found")) : .answer
            }
            let jobs = (0..<40).map { Self.job("\($0)", tenant: "tenant-\($0)") }
            let results = try await client.enqueue(jobs)
            #expect(try results.map { try $0.get().id } == jobs.map(\.id))
            #expect(server.jobs.count == 40 && Set(server.calls("Enqueue").map(\.address)).count == 5 - 1)
        }
    }

    // MARK: Many in one call

    @Test func manyJobsGoInOneCallAShardSideBySide() throws {
        try ScriptedServer.simulate { server in
            server.own(ScriptedServer.fourShards)
            let client = try await Self.slow(server)
            let jobs = (0..<1000).map { Self.job("\($0)", tenant: "tenant-\($0)") }
            let begun = server.clock.steady
            let results = try await client.enqueue(jobs)
            #expect(try results.map { try $0.get().id } == jobs.map(\.id))
            #expect(server.clock.steady - begun == 100)
            #expect(Set(server.calls("EnqueueBatch").map(\.address)) == ["h0:1", "h1:1", "h2:1", "h3:1"])
            #expect(server.enqueues.count == 4)
        }
    }

    @Test func aFailedCallFailsItsJobsAndNoOthers() throws {
        try ScriptedServer.simulate { server in
            server.own(ScriptedServer.fourShards)
            let refusal = Status(.permissionDenied, "not you")
            server.behave { call, _ in Self.isEnqueue(call.path) && call.address == "h2:1" ? .fail(refusal) : .answer }
            let jobs = (0..<100).map { Self.job("\($0)", tenant: "tenant-\($0)") }
            for (job, result) in zip(jobs, try await server.client().enqueue(jobs)) {
                let isOfS2 = Tenant(job.tenant ?? "").hash.value >> 62 == 2
                if case .failure(let error) = result { #expect(isOfS2 && error == .other(refusal)) } else { #expect(!isOfS2) }
            }
        }
    }

    @Test func jobsWhoseShardNobodyServesWaitForItAndNoOthersDo() throws {
        try ScriptedServer.simulate { server in
            var owners = ScriptedServer.fourShards
            owners[2].address = ""
            server.own(owners)
            let client = server.client()
            let jobs = (0..<100).map { Self.job("\($0)", tenant: "tenant-\($0)") }
            let sending = server.environment.start { try? await client.enqueue(jobs) }
            try await server.clock.sleep(milliseconds: 3000)
            let stored = Set(server.jobs)
            #expect(stored == Set(jobs.filter { Tenant($0.tenant ?? "").hash.value >> 62 != 2 }.compactMap(\.id)))
            server.own(ScriptedServer.fourShards)
            let results = try #require(await sending.value)
            #expect(results.allSatisfy { if case .success = $0 { true } else { false } } && Set(server.jobs).count == 100)

            server.own(owners)
            try await client.ping()
            let more = (100..<200).map { Self.job("\($0)", tenant: "tenant-\($0)") }
            for (job, result) in zip(more, try await client.enqueue(more)) {
                guard case .failure(let error) = result else { continue }
                #expect(Tenant(job.tenant ?? "").hash.value >> 62 == 2)
                guard case .unavailable = error else {
                    Issue.record("\(error)")
                    continue
                }
            }
        }
    }

    @Test func callsAreBoundedInJobsAndBytes() throws {
        try ScriptedServer.simulate { server in
            let client = server.client()
            _ = try await client.enqueue((0..<2500).map { Self.job("\($0)") })
            #expect(server.enqueues.map(\.count) == [1000, 1000, 500])
            let megabyte = 1 << 20
            _ = try await client.enqueue([3, 3, 3, 20, 1, 1].map { Self.job(bytes: $0 * megabyte) })
            #expect(server.enqueues.dropFirst(3).map(\.count) == [2, 1, 1, 2])
            #expect(try await client.enqueue([]).isEmpty)
        }
    }

    // MARK: A real server

    @Test func aRealServerGetsFewCalls() async throws {
        let server = try await TestServer { settings in
            settings.tenancy = true
            settings.shardCount = 7
        }
        let calls = Box<String>()
        let client = Client(ClientOptions(servers: [server.node.address]), in: Lanes.system) { address, _ in
            CountingTransport(Channel(target: address), calls)
        }
        func job(_ index: Int) -> NewJob { Self.job("job-\(index)", tenant: "tenant-\(index % 500)") }
        let handles = try await client.enqueue((0..<3000).map(job)).map { try $0.get() }
        #expect(handles.map(\.id) == (0..<3000).map { "job-\($0)" })
        #expect(calls.all.count { $0 == SiloV1.Silo.enqueueBatch.path } == 7)
        for handle in [handles[0], handles[1234], handles[2999]] { #expect(try await handle.status() == .scheduled) }

        let before = calls.count
        try await withThrowingTaskGroup { group in
            for index in 3000..<4000 { group.addTask { try await client.enqueue(job(index)) } }
            try await group.waitForAll()
        }
        #expect(calls.count - before < 500)
        for index in [3000, 3456, 3999] {
            #expect(try await client.job("job-\(index)", tenant: "tenant-\(index % 500)").status() == .scheduled)
        }
        await #expect(throws: ClientError.jobAlreadyExists("job-1")) { try await client.enqueue(job(1)) }
        client.close()
        await server.stop()
    }
}
