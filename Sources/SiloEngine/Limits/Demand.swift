import SiloCore
import SiloStore

/// What one limit of a job asks of the state of that limit.
enum Demand {
    /// A slot, of as many as `max`; nil: as many as the floating limit allows.
    case slot(SlotLimit, max: UInt32?)
    /// Room for its hits.
    case hits(BucketLimit, StorageV1.RateLimit)

    var limit: Limit {
        switch self {
        case .slot(let limit, _): limit
        case .hits(let limit, _): limit
        }
    }

    /// It is a slot that comes free when a job ends: neither paused nor closed.
    var isFreedByOthers: Bool {
        guard case .slot(let limit, let max) = self else { return false }
        return !limit.isPaused && limit.capacity(max) > 0
    }

    var max: UInt32? {
        if case .slot(_, let max) = self { max } else { nil }
    }
}

/// Whether a job may take all that it needs, in one step.
enum Verdict {
    case free
    /// The first of its limits that has no room. `dueAt` is when a bucket will have some; nil when that is not known.
    case blocked(Demand, dueAt: Timestamp?)
}

extension StorageV1.Task {
    /// The limits of the job, from its copy or from what stands in for it.
    var jobLimits: [StorageV1.Limit] { job?.limits ?? limits }

    /// The task group of the job.
    var jobGroup: TaskGroup { TaskGroup(job?.taskGroup ?? taskGroup) }
}

extension [StorageV1.Limit] {
    /// The keys of the concurrency and floating limits, each once.
    var slotKeys: [LimitKey] {
        var keys: [LimitKey] = []
        for limit in self {
            guard let key = limit.slotKey, !keys.contains(key) else { continue }
            keys.append(key)
        }
        return keys
    }

    var rates: [StorageV1.RateLimit] {
        compactMap { if case .rate(let rate) = $0.kind { rate } else { nil } }
    }
}

extension StorageV1.Limit {
    var slotKey: LimitKey? {
        switch kind {
        case .concurrency(let slots): LimitKey(slots.key)
        case .floating(let floating): LimitKey(floating.key)
        case .rate, nil: nil
        }
    }
}
