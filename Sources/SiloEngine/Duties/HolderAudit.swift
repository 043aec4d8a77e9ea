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
        /// Tenants that hold slots, or whose slots a row tells of.
        public var tenants = 0
        /// Slots said to be held, of all limits.
        public var held: UInt64 = 0
        /// Slots said to be held that no job holds.
        public var ghosts: UInt64 = 0
        /// Slots that jobs hold and that count as free.
        public var missing: UInt64 = 0
        /// By how much rows are wrong of how many marks are void since the holders of one limit were dropped.
        public var voidsOff: UInt64 = 0
        /// Of the limits where the counts differ, some: `tenant/key: said, found`.
        public var examples: [String] = []
        public var endedAt = Timestamp(0)

        public var isClean: Bool { ghosts == 0 && missing == 0 && voidsOff == 0 }
    }

    private static let page = 512
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
        let state = try await view.get(ShardKeys.tenantState(tenant)).flatMap { try? StorageV1.TenantState(serializedBytes: $0) }
        let drops = state?.drops ?? 0
        var said: [LimitKey: StorageV1.Slots] = [:]
        try await pages(of: keys.slots, view) { row in
            guard let key = keys.parseSlots(row.key), let slots = try? StorageV1.Slots(serializedBytes: row.value) else { return }
            if slots.drops == drops { said[key] = slots }
        }
        // Where the holders of a limit were dropped, one that was miscounted may have lost its row too early.
        guard !said.isEmpty || state?.keyDrops ?? 0 > 0 else { return }
        var found: [LimitKey: Marks] = [:]
        func count(_ slots: [LimitKey], _ hold: UInt32?, _ keyHold: UInt64) {
            guard hold == drops else { return }
            for key in slots {
                let kind: WritableKeyPath<Marks, UInt64> = keyHold >= said[key]?.keyDrops ?? 0 ? \.good : \.void
                found[key, default: Marks()][keyPath: kind] += 1
            }
        }
        try await pages(of: keys.leases, view) { row in
            guard let lease = try? StorageV1.Lease(serializedBytes: row.value) else { return }
            count(lease.slots.map { LimitKey($0) }, lease.hold, lease.keyHold)
        }
        for range in [keys.ready, keys.delays] {
            try await pages(of: range, view) { row in
                guard let task = try? StorageV1.Task(serializedBytes: row.value) else { return }
                count(task.jobLimits.slotKeys, task.hold, task.keyHold)
            }
        }
        report.tenants += 1
        for key in Set(said.keys).union(found.keys).sorted() {
            report.compare(said[key] ?? StorageV1.Slots(), found[key] ?? Marks(), "\(tenant)/\(key)")
        }
    }

    /// Of jobs that have a slot of a limit, or had.
    fileprivate struct Marks {
        var good: UInt64 = 0
        var void: UInt64 = 0
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

extension HolderAudit.Report {
    private static let examplesMax = 10

    fileprivate mutating func compare(_ said: StorageV1.Slots, _ found: HolderAudit.Marks, _ name: String) {
        held += said.held
        ghosts += said.held - min(said.held, found.good)
        missing += found.good - min(said.held, found.good)
        voidsOff += max(said.voidHolds, found.void) - min(said.voidHolds, found.void)
        func tell(_ claim: UInt64, _ count: UInt64, _ what: String) {
            guard claim != count, examples.count < Self.examplesMax else { return }
            examples.append("\(name): \(claim)\(what) said, \(count) found")
        }
        tell(said.held, found.good, "")
        tell(said.voidHolds, found.void, " void")
    }
}
