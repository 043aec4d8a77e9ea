import Protobuf
import SiloCore
public import SiloStore

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

extension [Demand] {
    /// Several limits of one key are one, the strictest.
    mutating func add(_ demand: Demand) {
        guard case .slot(let limit, let max) = demand,
            let place = firstIndex(where: { $0.limit === limit }), case .slot(_, let other) = self[place]
        else { return append(demand) }
        if limit.capacity(max) < limit.capacity(other) { self[place] = demand }
    }
}

/// Whether a job may take all that it needs, in one step.
enum Verdict {
    case free
    /// The first of its limits that has no room. `dueAt` is when a bucket will have some; nil when that is not known.
    case blocked(Demand, dueAt: Due?)
}

extension StorageV1.Task {
    /// The limits of the job, from its copy or from what stands in for it.
    var jobLimits: [StorageV1.Limit] { job?.limits ?? limits }

    /// When the job came, among others.
    var jobArrival: UInt64 { job?.arrival ?? arrival }

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

    /// What they weigh in a request or an answer: bytes of text, and a little for the numbers of each.
    public var textBytes: Int {
        reduce(0) { sum, limit in
            switch limit.kind {
            case .concurrency(let slots): sum + 16 + slots.key.utf8.count
            case .floating(let floating): sum + 32 + floating.key.utf8.count + floating.metadata.textBytes
            case .rate(let rate): sum + 96 + rate.name.utf8.count + rate.uniqueKey.utf8.count
            case nil: sum
            }
        }
    }

    var rates: [StorageV1.RateLimit] {
        compactMap { if case .rate(let rate) = $0.kind { rate } else { nil } }
    }
}

extension TextMap<String> {
    var textBytes: Int { reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } }
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
