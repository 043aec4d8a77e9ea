import Protobuf
import SiloCore
import SiloStore

/// What a row of a pending attempt says, wherever it stands.
struct PendingRow {
    let tenant: String
    /// Of ready rows and timers.
    let group: String?
    /// Rank, or when it is due.
    let order: UInt64
    let arrival: UInt64
    let job: String
    let task: StorageV1.Task

    init?(_ row: Row, isInLine: Bool = false) {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant()?.string(in: row.key) else { return nil }
        if isInLine {
            guard parts.number() != nil, parts.number() != nil else { return nil }
            group = nil
        } else {
            guard let group = parts.string() else { return nil }
            self.group = group
        }
        guard let order = parts.number(), let arrival = parts.number(), let job = parts.string(),
            let task = try? StorageV1.Task(serializedBytes: row.value)
        else { return nil }
        self.tenant = tenant
        self.order = order
        self.arrival = arrival
        self.job = job
        self.task = task
    }

    var taskGroup: String { task.job?.taskGroup ?? task.taskGroup }
    var limits: [StorageV1.Limit] { task.job?.limits ?? task.limits }
    /// The keys that a ready job holds a slot of, unless the tenant's holders were dropped since.
    func heldKeys(_ drops: UInt32) -> [String] { task.hold.map { $0 >= drops } ?? false ? limits.slotKeys : [] }
}

extension [StorageV1.Limit] {
    /// The keys of concurrency and floating limits, each once.
    var slotKeys: [String] {
        compactMap { limit in
            switch limit.kind {
            case .concurrency(let slots): slots.key
            case .floating(let floating): floating.key
            case .rate, nil: nil
            }
        }.unique
    }
}

extension CountedReader {
    /// The limits of a part that are paused, and since when.
    func pausedLimits(of part: Part) async throws(StoreError) -> [(tenant: Tenant, key: LimitKey, since: Int64)] {
        try await all(part.range(.pause)).compactMap { row in
            guard case .pause(.limit(let key, of: let tenant))? = ShardKeys.parse(row.key),
                let pause = try? StorageV1.Pause(serializedBytes: row.value)
            else { return nil }
            return (tenant, key, pause.sinceMs)
        }
    }
}
