import SiloCore
import SiloStore

@testable import SiloEngine

/// What a seed can do to a shard, as data, so that a failure can print it and the model can repeat it.
enum Operation: Sendable, CustomStringConvertible {
    case enqueue(NewJob)
    /// All of them or none.
    case enqueueAll([NewJob])
    case lease(group: String, count: Int, worker: String)
    case leaseOne(JobKey, worker: String)
    case heartbeat(Tenant, TaskID, worker: String)
    case report(Tenant, TaskID, Kind)
    case giveBack([TaskID])
    case cancel(JobKey)
    case restart(JobKey)
    case expedite(JobKey)
    case delete(JobKey)
    /// Erases what ended so in a period, or what goes at a time of its own.
    case sweep(Tenant, StorageV1.JobState, FinishedPeriod)
    case sweepKept(Tenant, by: Timestamp)
    case drop(Tenant)
    case dropStep(Tenant)

    enum Kind: CaseIterable, Sendable { case success, failure, cancelled }

    /// The order in which the shard takes what comes at once.
    var lane: Int {
        switch self {
        case .giveBack: 0
        case .heartbeat, .report: 1
        default: 2
        }
    }

    var description: String {
        switch self {
        case .enqueue(let job): "enqueue \(job)"
        case .enqueueAll(let jobs): "enqueue all \(jobs)"
        case .lease(let group, let count, let worker): "lease \(count) of \(group) for \(worker)"
        case .leaseOne(let key, let worker): "lease \(key) for \(worker)"
        case .heartbeat(let tenant, let task, let worker): "heartbeat \(tenant) \(task) by \(worker)"
        case .report(let tenant, let task, let kind): "report \(tenant) \(task) \(kind)"
        case .giveBack(let tasks): "give back \(tasks)"
        case .cancel(let key): "cancel \(key)"
        case .restart(let key): "restart \(key)"
        case .expedite(let key): "expedite \(key)"
        case .delete(let key): "delete \(key)"
        case .sweep(let tenant, let state, let period): "sweep \(tenant) \(state) \(period.number)"
        case .sweepKept(let tenant, let time): "sweep the slice of \(tenant) by \(time)"
        case .drop(let tenant): "drop \(tenant)"
        case .dropStep(let tenant): "drop step of \(tenant)"
        }
    }
}

struct JobKey: Hashable, Sendable, CustomStringConvertible {
    let tenant: Tenant
    let id: JobID
    var description: String { "\(tenant)/\(id)" }
}

struct NewJob: Sendable, CustomStringConvertible {
    let key: JobKey
    let group: String
    let priority: UInt32
    let startAtMs: Int64
    /// Nil: no policy.
    let retries: UInt32?
    let interval: Int64
    /// 0: as the settings say.
    var retain: Int64 = 0
    var description: String {
        "\(key) group \(group) priority \(priority) start \(startAtMs) retries \(retries.map { "\($0)" } ?? "-") every "
            + "\(interval) kept \(retain)"
    }
}

/// What an operation answered.
enum Answer: Sendable, Equatable {
    case done
    case leased([Given])
    /// So many jobs.
    case erased(Int)
    /// Where to go on with a drop; nil: it is over.
    case dropped(isDone: Bool)
    case cancelledAt(Timestamp?)
    case refused(SiloError)

    /// The store failed: the operation may have happened or not.
    var isUnknown: Bool { if case .refused(.unavailable) = self { true } else { false } }
}

/// A task as a worker got it.
struct Given: Sendable, Equatable, CustomStringConvertible {
    let task: TaskID
    let key: JobKey
    let attempt: UInt32
    let relative: UInt32
    let isLast: Bool

    var description: String { "\(key) attempt \(attempt)/\(relative)\(isLast ? " last" : "") \(task)" }

    init(_ leased: LeasedTask) {
        task = leased.id
        key = JobKey(tenant: leased.tenant, id: JobID(leased.job.id))
        attempt = leased.attempt
        relative = leased.relativeAttempt
        isLast = leased.isLastAttempt
    }
}
