import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine

/// A store that has no space for more: nothing begins, nothing is lost, and nothing has to be opened anew.
@Suite(.timeLimit(.minutes(10))) struct FullStoreTests {
    private let full = StoreError.full("no space is left for the log")

    @Test("what changes the shard is refused, what reads is answered, no lease ends; with space all goes on")
    func refused() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        try await bench.enqueue("later", after: 5000)
        let task = try await bench.leaseOne()
        bench.store.set { [full] in $0.refusal = full }
        for change in [
            { try await bench.enqueue("b") }, { try await bench.heartbeat(task) }, { try await bench.succeed(task) },
            { _ = try await bench.lease() }, { try await bench.cancel("a") },
        ] as [() async throws -> Void] {
            guard case .unavailable(let text, _) = try await refusal(change) else {
                Issue.record("it is not refused")
                continue
            }
            #expect(text == "storage is full: no space is left for the log")
        }
        let shard = bench.shard
        #expect(try await shard.run(ListPauses()).isEmpty)
        #expect(try await shard.snapshot().get(TenantKeys(Bench.tenant).job(JobID("a"))) != nil)
        bench.clock.advance(milliseconds: 60_000)
        #expect(try await shard.run(ListPauses()).isEmpty)
        #expect(shard.counts.leases == 1, "what it could not renew has not ended")
        #expect(shard.groups["g"]?.jobs.scheduled == 1, "no timer has fired")
        bench.store.set { $0.refusal = nil }
        try await bench.enqueue("b")
        #expect(shard.counts.leases == 1)
        try await bench.heartbeat(task)
        try await bench.succeed(task)
        #expect(Set(try await bench.drain(5)) == ["b", "later"])
        try await bench.finish()
    }

    @Test("a flush that finds no space fails its callers, and is made good by a later one; the shard does not stop")
    func flushed() async throws {
        let bench = try await Bench.open()
        bench.store.set { [full] in ($0.failFlushes, $0.error) = (true, full) }
        let answers = Box<Result<JobID, SiloError>>(changes: bench.changes)
        for id in ["a", "b"] {
            bench.shard.submit(Enqueue(tenant: Bench.tenant, id: JobID(id), taskGroup: "g")) { answers.add($0) }
        }
        try await bench.until("both to be answered") {
            bench.clock.advance(milliseconds: 500)
            return answers.count == 2
        }
        for answer in answers.all {
            guard case .failure(.unavailable(let text, _)) = answer else {
                Issue.record("\(answer)")
                continue
            }
            #expect(text.contains("no space"))
        }
        bench.store.set { $0.failFlushes = false }
        bench.shard.submit(Enqueue(tenant: Bench.tenant, id: JobID("c"), taskGroup: "g")) { answers.add($0) }
        try await bench.until("the next to be answered") {
            bench.clock.advance(milliseconds: 500)
            return answers.count == 3
        }
        #expect((try? answers.all[2].get()) == JobID("c"))
        for id in ["a", "b"] {
            let key = TenantKeys(Bench.tenant).job(JobID(id))
            #expect(bench.memory.durableRows.contains { $0.key == key }, "what was written before is durable too")
        }
        #expect(try await bench.drain(5) == ["a", "b", "c"])
        try await bench.finish()
    }

    @Test("closed while there is no space, a shard ends with an error")
    func closed() async throws {
        let bench = try await Bench.open()
        bench.store.set { [full] in ($0.failFlushes, $0.error) = (true, full) }
        #expect(try await refusal { try await bench.enqueue("a") } != nil)
        async let closing: StoreError? = {
            do throws(StoreError) {
                try await bench.shard.close()
                return nil
            } catch {
                return error
            }
        }()
        let ended = Box<StoreError?>(changes: bench.changes)
        // Ends with the shard.
        Task { ended.add(await bench.shard.untilStopped()) }
        try await bench.until("it to end") {
            bench.clock.advance(milliseconds: 500)
            return ended.count > 0
        }
        #expect(await closing == full)
    }
}
