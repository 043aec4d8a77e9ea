import Protobuf
public import SiloCore
import SiloStore

/// Recounts, from the rows of jobs, the slots that the rows of limits say are held. It goes on in the background for as long as
/// a shard is open, beside its loop: on a view of one tenant at a time, in which every batch is whole.
///
/// A slot that no job holds is a ghost: it would be lost to its tenant for ever. There must never be one.
public struct HolderAudit: Sendable {
    /// What one audit of all tenants found.
    public struct Report: Sendable, Equatable {
        /// Tenants that hold slots.
        public var tenants = 0
        /// Slots said to be held, of all limits.
        public var held: UInt64 = 0
        /// Slots said to be held that no job holds.
        public var ghosts: UInt64 = 0
        /// Slots that jobs hold and that count as free.
        public var missing: UInt64 = 0
        /// Of the limits where the counts differ, some: `tenant/key: said, found`.
        public var examples: [String] = []
        public var endedAt = Timestamp(0)

        public var isClean: Bool { ghosts == 0 && missing == 0 }
    }

    private static let page = 512
    private static let examplesMax = 10
    let store: any KeyValueStore
    let clock: any Clock
    /// Between two pages, so that an audit takes little of the machine.
    let pauseMilliseconds: Int64

    /// Audits every tenant that ever had slots, once; others cost nothing. Throws when the store cannot be read, or when the task
    /// is cancelled.
    func run() async throws -> Report {
        var report = Report()
        for slice in try await ShardMemory.slices(in: store).slices {
            try await pages(of: slice.tenantStates, store) { row in
                guard case .tenantState(let tenant)? = ShardKeys.parse(row.key) else { return }
                try await audit(tenant, &report)
                try await breathe()
            }
        }
        report.endedAt = clock.now
        return report
    }

    private func audit(_ tenant: Tenant, _ report: inout Report) async throws {
        let keys = TenantKeys(tenant)
        let view = try await store.snapshot()
        let drops =
            try await view.get(ShardKeys.tenantState(tenant)).flatMap { try? StorageV1.TenantState(serializedBytes: $0) }?.drops
            ?? 0
        var said: [LimitKey: UInt64] = [:]
        var keyDrops: [LimitKey: UInt64] = [:]
        try await pages(of: keys.slots, view) { row in
            guard let key = keys.parseSlots(row.key), let slots = try? StorageV1.Slots(serializedBytes: row.value) else { return }
            guard slots.drops == drops else { return }
            if slots.held > 0 { said[key] = slots.held }
            if slots.keyDrops > 0 { keyDrops[key] = slots.keyDrops }
        }
        guard !said.isEmpty else { return }
        var found: [LimitKey: UInt64] = [:]
        try await pages(of: keys.leases, view) { row in
            guard let lease = try? StorageV1.Lease(serializedBytes: row.value), lease.hold == drops else { return }
            for key in lease.slots.map({ LimitKey($0) }) where lease.keyHold >= keyDrops[key] ?? 0 { found[key, default: 0] += 1 }
        }
        for range in [keys.ready, keys.delays] {
            try await pages(of: range, view) { row in
                guard let task = try? StorageV1.Task(serializedBytes: row.value), task.hold == drops else { return }
                for key in task.jobLimits.slotKeys where task.keyHold >= keyDrops[key] ?? 0 { found[key, default: 0] += 1 }
            }
        }
        report.tenants += 1
        for key in Set(said.keys).union(found.keys).sorted() {
            let (claim, count) = (said[key] ?? 0, found[key] ?? 0)
            report.held += claim
            report.ghosts += claim - min(claim, count)
            report.missing += count - min(claim, count)
            if claim != count, report.examples.count < Self.examplesMax {
                report.examples.append("\(tenant)/\(key): \(claim) said, \(count) found")
            }
        }
    }

    private func pages(of range: (start: Bytes, end: Bytes), _ view: any StoreReader, _ body: (Row) async throws -> Void)
        async throws
    {
        var start = range.start
        while true {
            let rows = try await view.scan(from: start, to: range.end, limit: Self.page)
            for row in rows { try await body(row) }
            guard rows.count == Self.page, let last = rows.last else { return }
            start = last.key + [0]
            try await breathe()
        }
    }

    private func breathe() async throws {
        if pauseMilliseconds > 0 { try await clock.sleep(milliseconds: pauseMilliseconds) }
    }
}
