import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
import SiloServer
import SiloTesting
import Synchronization
import Testing

@testable import SiloSimulation

/// The checker of leases, and processes that are stopped.
@Suite(.timeLimit(.minutes(10))) struct LeaseWatchTests {
    private func beat(_ task: String) -> [UInt8] {
        var request = SiloV1.HeartbeatRequest()
        request.taskId = task
        return request.serializedBytes()
    }

    /// What is found when task `t` is leased at 0, renewed at 5000 if at all, reported if at all, and asked for in vain.
    private func complaints(renewed: Bool = false, reported: Bool = false, goneAt: Int64) -> Int {
        let found = Mutex(0)
        let watch = LeaseWatch(leaseMilliseconds: 10_000) { _ in found.withLock { $0 += 1 } }
        var response = SiloV1.LeaseTasksResponse()
        response.tasks = [SiloV1.Task()]
        response.tasks[0].id = "t"
        let heartbeat = SiloV1.Silo.heartbeat.path
        watch.ended(
            SiloV1.Silo.leaseTasks.path, [], sentAt: Timestamp(0), .success(response.serializedBytes()), at: Timestamp(100))
        if renewed { watch.ended(heartbeat, beat("t"), sentAt: Timestamp(5000), .success([]), at: Timestamp(5100)) }
        if reported {
            var report = SiloV1.ReportOutcomeRequest()
            report.taskId = "t"
            watch.sent(SiloV1.Silo.reportOutcome.path, report.serializedBytes())
        }
        let gone = Status(.notFound, "lease not found")
        watch.ended(heartbeat, beat("t"), sentAt: Timestamp(goneAt - 1), .failure(gone), at: Timestamp(goneAt))
        return found.withLock { $0 }
    }

    @Test func aLeaseThatIsGoneBeforeItsTimeIsFound() {
        #expect(complaints(goneAt: 9999) == 1)
        #expect(complaints(goneAt: 10_000) == 0)
        #expect(complaints(renewed: true, goneAt: 14_999) == 1)
        #expect(complaints(renewed: true, goneAt: 15_000) == 0)
        #expect(complaints(renewed: true, reported: true, goneAt: 6000) == 0)
    }

    @Test func aStoppedProcessAnswersWhenItGoesOn() throws {
        let world = SimulatedWorld(seed: 1)
        try world.run {
            let clock = SkewedClock(world.clock, aheadMilliseconds: 0, rate: 1)
            let node = try await SimulatedNode.start(on: world.disk, at: "a:1", NodeSettings(data: ""), in: world, clock: clock)
            let client = world.client("a:1") { $0.timeout = .seconds(30) }
            try await client.ping()
            node.freeze()
            let begun = world.clock.now
            async let pinged: Void = client.ping()
            try await world.clock.sleep(milliseconds: 5000)
            node.goOn()
            try await pinged
            #expect((5000...5100).contains(world.clock.now - begun))
            #expect(clock.absences == 1)
            await node.stop()
        }
    }
}
