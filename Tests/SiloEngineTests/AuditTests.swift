import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct AuditTests {
    @Test("an audit reads nothing of tenants that never had limits, and all of one that has")
    func onlyLimited() async throws {
        let bench = try await Bench.open()
        for index in 0..<300 { try await bench.enqueue("a", tenant: Tenant("t\(index)")) }
        try await bench.enqueue("b", limits: [slots("x", 2)])
        let audit = HolderAudit(store: bench.store, clock: bench.clock, pauseMilliseconds: 0)
        // The slices that hold anything, of each the tenants with limits, and a view of the one there is.
        let tenants = (0..<300).map { Tenant("t\($0)") } + [Bench.tenant]
        let slices = Set(tenants.map { TenantKeys($0).slice }).count
        bench.store.set { $0.callsLeft = 2 + slices }
        let report = try await audit.run()
        #expect((report.tenants, report.held, report.ghosts, report.missing) == (1, 1, 0, 0))
        bench.store.set { $0.callsLeft = nil }
        try await bench.finish()
    }

    @Test("a ghost is found though no job of its tenant is left", arguments: [false, true])
    func ghost(isReopened: Bool) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", limits: [slots("x", 2)])
        try await bench.succeed(bench.leaseOne())
        var record = StorageV1.Slots()
        record.held = 1
        try await bench.memory.write([Write(key: TenantKeys(Bench.tenant).slots(LimitKey("x")), value: record.serializedBytes())])
        try await bench.memory.flush()
        let now = isReopened ? try await bench.crash() : bench
        let report = try await HolderAudit(store: now.store, clock: now.clock, pauseMilliseconds: 0).run()
        #expect((report.tenants, report.ghosts) == (1, 1))
        try await now.shard.close()
    }
}
