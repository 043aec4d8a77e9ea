import SiloAPI
import SiloCore
import Testing

@testable import SiloService

/// A profile that lasts until the test ends it.
private final class HeldProfiler: Profiler {
    let began = AsyncStream<(milliseconds: Int64, frequency: Int)>.makeStream()
    let release = AsyncStream<Void>.makeStream()

    func profileProcessor(milliseconds: Int64, frequency: Int) async throws -> (profile: [UInt8], stacks: Int) {
        began.continuation.yield((milliseconds, frequency))
        for await _ in release.stream { return ([1, 2, 3], 7) }
        throw CancellationError()
    }

    func profileHeap(milliseconds: Int64) async throws -> [UInt8] { [4] }
}

@Suite("Profiles and dumps", .timeLimit(.minutes(10)))
struct DiagnosticsTests {
    private func request(seconds: UInt32 = 0, frequency: UInt32 = 0) -> SiloV1.CpuProfileRequest {
        var request = SiloV1.CpuProfileRequest()
        (request.durationSeconds, request.frequency) = (seconds, frequency)
        return request
    }

    @Test("a profile has the spec's length and rate unless told otherwise, and bounds on both", arguments: [
        (UInt32(0), UInt32(0), 30, 100), (1, 1, 1, 1), (.max, .max, 300, 1000), (7, 250, 7, 250),
    ])
    func bounds(seconds: UInt32, frequency: UInt32, takesSeconds: Int, takesFrequency: Int) async throws {
        let profiler = HeldProfiler()
        let service = try await Service(profiler: profiler)
        async let answer = awaitAnswer(
            service.operations.diagnostics.cpuProfile, request(seconds: seconds, frequency: frequency), service.context
        )
        var began = profiler.began.stream.makeAsyncIterator()
        let taken = try #require(await began.next())
        #expect(taken.milliseconds == Int64(takesSeconds) * 1000)
        #expect(taken.frequency == takesFrequency)
        profiler.release.continuation.yield()
        let response = try await answer
        #expect(response.profileData == [1, 2, 3])
        #expect(response.samples == 7)
        #expect(response.durationSeconds == UInt32(takesSeconds))
        try await service.close()
    }

    @Test("there is one profile at a time: others are told when to come again, and a caller that leaves ends its own")
    func oneAtATime() async throws {
        let profiler = HeldProfiler()
        let service = try await Service(profiler: profiler)
        let diagnostics = service.operations.diagnostics
        let first = Task { try await awaitAnswer(diagnostics.cpuProfile, request(seconds: 60), service.context) }
        var began = profiler.began.stream.makeAsyncIterator()
        _ = await began.next()
        do {
            _ = try await awaitAnswer(diagnostics.heapProfile, SiloV1.HeapProfileRequest(), service.context)
            Issue.record("two at once")
        } catch .exhausted(let text) {
            #expect(text.wholeMatch(of: /a profile of this server is under way, for about \d+ s more; ask again then/) != nil)
        }
        first.cancel()
        await #expect(throws: SiloError.self) { try await first.value }
        // It ends by itself soon after.
        while true {
            do {
                let heap = try await awaitAnswer(diagnostics.heapProfile, SiloV1.HeapProfileRequest(), service.context)
                #expect(heap.profileData == [4])
                break
            } catch .exhausted {
                await Task.yield()
            }
        }
        try await service.close()
    }

    @Test("a process without a profiler says so")
    func none() async throws {
        let service = try await Service()
        await #expect(throws: SiloError.unsupported("this server was built without a profiler")) {
            try await awaitAnswer(service.operations.diagnostics.cpuProfile, request(), service.context)
        }
        try await service.close()
    }

    @Test("a dump tells of each shard what it does")
    func dump() async throws {
        let service = try await Service(shards: 2)
        let response = try await awaitAnswer(
            service.operations.diagnostics.dumpTasks, SiloV1.DumpTasksRequest(), service.context
        )
        #expect(response.taskCount == 2)
        for (index, host) in service.hosts.enumerated() {
            #expect(response.dump.contains("task \(index + 1): shard \(host.id)"))
        }
        #expect(response.dump.contains("  loop: waits for work\n"))
        #expect(response.dump.contains("  alarm: none\n"))
        #expect(response.dump.contains("  jobs: 0 stored, 0 of them finished; 0 leases\n"))
        try await service.close()
    }
}
