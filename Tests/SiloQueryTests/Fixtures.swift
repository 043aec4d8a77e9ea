import Protobuf
import SiloCore
import SiloEngine
import SiloStore
import SiloTesting

/// The jobs of spec/query.md 14.
extension Fixture {
    /// Jobs of several priorities, all ready.
    static func orders() async throws -> Fixture {
        let fixture = try await Fixture()
        for (id, priority) in [("ord_a", 10), ("ord_b", 10), ("inv_a", 5), ("inv_b", 50)] as [(String, UInt32)] {
            try await fixture.enqueue(id, priority: priority, payload: [0x81, 0xa1, 0x6e, 0x05])
        }
        return fixture
    }

    /// One job of each status, two that wait.
    static func states() async throws -> Fixture {
        let fixture = try await Fixture()
        try await fixture.finish("done1", Fixture.success)
        try await fixture.finish("bad1", Fixture.failure)
        try await fixture.enqueue("run1", group: "running")
        try await fixture.lease(group: "running")
        try await fixture.enqueue("wait1")
        try await fixture.enqueue("wait2")
        try await fixture.enqueue("later1", after: 3_600_000)
        return fixture
    }

    static func labelled() async throws -> Fixture {
        let fixture = try await Fixture()
        try await fixture.enqueue("m1", metadata: ["env": "prod", "team": "core", "region": "us-east-1"])
        try await fixture.enqueue("m2", metadata: ["env": "staging", "region": "us-west-2"])
        try await fixture.enqueue("m3", metadata: ["env": "prod-eu", "region": "eu-west-1"])
        try await fixture.enqueue("m4")
        return fixture
    }

    static func tenants() async throws -> Fixture {
        let fixture = try await Fixture()
        let (acme, beta) = (Tenant("acme"), Tenant("beta"))
        try await fixture.enqueue("a1", tenant: acme)
        try await fixture.enqueue("a2", tenant: acme, after: 3_600_000)
        try await fixture.enqueue("b1", tenant: beta, priority: 7)
        try await fixture.enqueue("dup", tenant: acme, priority: 1)
        try await fixture.enqueue("dup", tenant: beta, priority: 2)
        return fixture
    }

    static func gated() async throws -> Fixture {
        let fixture = try await Fixture()
        var slots = StorageV1.ConcurrencyLimit()
        slots.key = "gate"
        slots.maxConcurrency = 1
        var limit = StorageV1.Limit()
        limit.kind = .concurrency(slots)
        try await fixture.enqueue("j1", limits: [limit])
        try await fixture.enqueue("j2", limits: [limit])
        return fixture
    }

    static func queued() async throws -> Fixture {
        let fixture = try await Fixture()
        for (id, group, wait) in [("k1", "mail", 1000), ("k2", "mail", 1100), ("k3", "mail", 1500), ("k4", "cron", 1200)]
            as [(String, String, Int64)]
        {
            try await fixture.enqueue(id, after: wait, group: group)
        }
        return fixture
    }
}
