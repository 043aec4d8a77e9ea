import Foundation
import SiloClient
import SiloEngine
import SiloServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct PauseTests {
    @Test(arguments: [.tenant, .group("g"), .limit("db")] as [PauseTarget])
    func nothingStartsUntilItIsResumed(target: PauseTarget) async throws {
        let server = try await TestServer { $0.tenancy = true }
        let done = Box<String>()
        let (worker, task) = server.worker("g") { task in
            done.add(task.tenant ?? "")
            return .succeeded(.empty)
        }
        #expect(try await server.client.pause(target, tenant: "acme", reason: "deploy") == false)
        #expect(try await server.client.pause(target, tenant: "acme", reason: "long deploy") == true)
        var job = try NewJob("g", 1)
        job.tenant = "acme"
        job.limits = [.concurrency("db", max: 1)]
        let paused = try await server.client.enqueue(job)
        job.tenant = "other"
        let free = try await server.client.enqueue(job)
        _ = try await free.awaitResult(every: .milliseconds(10), timeout: .seconds(300))
        #expect(done.all == ["other"])

        let explanation = try await paused.explain()
        #expect(explanation.obstacles.first?.kind == .paused && explanation.summary.contains("long deploy"))
        let pauses = try await server.client.pauses()
        #expect(pauses.map(\.target) == [target] && pauses.map(\.tenant) == ["acme"] && pauses.map(\.reason) == ["long deploy"])
        #expect(pauses.allSatisfy { !$0.isPartial && abs($0.since.timeIntervalSinceNow) < 60 })

        #expect(try await server.client.resume(target, tenant: "acme") == true)
        #expect(try await server.client.resume(target, tenant: "acme") == false)
        #expect(try await paused.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) == .succeeded(.empty))
        #expect(try await server.client.pauses().isEmpty)
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func aGroupIsPausedForAllTenantsOnAllShards() async throws {
        let server = try await TestServer { settings in
            settings.tenancy = true
            settings.shardCount = 5
        }
        let (worker, task) = server.worker("g") { _ in .succeeded(.empty) }
        #expect(try await server.client.pause(.group("g"), reason: "why") == false)
        #expect(try await server.client.pause(.group("g"), reason: "why") == true)
        let jobs = try (0..<30).map { index in
            var job = try NewJob("g", index)
            job.tenant = "tenant-\(index)"
            return job
        }
        let handles = try await server.client.enqueue(jobs).map { try $0.get() }
        // A worker that waits is given a job in the very batch that brings it, before the enqueue is answered.
        for handle in handles { #expect(try await handle.status() == .scheduled) }
        let pauses = try await server.client.pauses()
        #expect(pauses.count == 1)
        #expect(pauses.first?.tenant == nil && pauses.first?.target == .group("g") && pauses.first?.isPartial == false)
        #expect(try await server.client.resume(.group("g")) == true)
        for handle in handles { _ = try await handle.awaitResult(every: .milliseconds(10), timeout: .seconds(300)) }
        worker.stop()
        await task.value
        await server.stop()
    }

    @Test func groupsWhoseNamesLookAlikeAreTwo() async throws {
        let server = try await TestServer { $0.tenancy = true }
        let groups = ["e\u{301}", "\u{e9}"]
        for group in groups { try await server.client.pause(.group(group), tenant: "acme", reason: group) }
        let paused = try await server.client.pauses().map { Array($0.reason.utf8) }
        #expect(Set(paused) == Set(groups.map { Array($0.utf8) }))
        await server.stop()
    }

    @Test func whatCannotBePausedIsRefused() async throws {
        let server = try await TestServer { $0.tenancy = true }
        await #expect(throws: ClientError.invalidArgument("tenant id required")) { try await server.client.pause(.tenant) }
        await #expect(throws: ClientError.invalidArgument("target.limit_key is required")) {
            try await server.client.pause(.limit(""), tenant: "acme")
        }
        await #expect(throws: ClientError.invalidArgument("reason too long (must be <= 1024 bytes)")) {
            try await server.client.pause(.tenant, tenant: "acme", reason: String(repeating: "x", count: 1025))
        }
        await server.stop()
    }
}
