import SiloAPI

/// What a worker has leased: an attempt of a job, or a refresh of a floating limit.
struct Lease: Sendable {
    enum Subject: Sendable { case job(String), limit(key: String) }
    let taskID: String
    let shard: String
    let tenant: String?
    let subject: Subject
    /// As the server says it; 0 when it does not.
    let milliseconds: Int64

    init(_ task: SiloV1.Task) {
        taskID = task.id
        shard = task.shard
        tenant = task.tenantId
        subject = .job(task.jobId)
        milliseconds = task.leaseMs
    }

    init(_ refresh: SiloV1.RefreshFloatingLimitTask) {
        taskID = refresh.id
        shard = refresh.shard
        tenant = refresh.tenantId
        subject = .limit(key: refresh.queueKey)
        milliseconds = refresh.leaseMs
    }

    var jobID: String? { if case .job(let id) = subject { id } else { nil } }
    var limitKey: String? { if case .limit(let key) = subject { key } else { nil } }
}
