import SiloAPI

/// A task as a handler gets it. When its job is cancelled or its lease is lost, the Swift task that runs the handler is
/// cancelled, and `isCancelled` says so.
public struct TaskContext: Sendable {
    public let taskID: String
    public let jobID: String
    public let tenant: String?
    public let group: String
    /// From 1, growing through the job's life.
    public let attempt: UInt32
    /// The same since the job was last restarted.
    public let relativeAttempt: UInt32
    /// A failure of this attempt is not retried.
    public let isLastAttempt: Bool
    public let priority: UInt32
    /// The limits that the job was enqueued with; while the handler runs it holds a slot of each concurrency limit.
    public let limits: [JobLimit]
    public let metadata: JobMetadata
    public let payload: Payload
    let execution: Execution

    init(_ task: SiloV1.Task, _ execution: Execution) {
        taskID = task.id
        jobID = task.jobId
        tenant = task.tenantId
        group = task.taskGroup
        attempt = task.attemptNumber
        relativeAttempt = task.relativeAttemptNumber
        isLastAttempt = task.isLastAttempt
        priority = task.priority
        limits = task.limits.compactMap(JobLimit.init)
        metadata = JobMetadata(task.metadata)
        payload = Payload(task.payload)
        self.execution = execution
    }

    /// Stop: the job was cancelled, or another worker may have the task.
    public var isCancelled: Bool { execution.ending != nil }
}

/// What a handler makes of its task.
public enum TaskOutcome: Sendable {
    case succeeded(Payload)
    /// Retried as the job's policy says.
    case failed(code: String, data: Payload = .empty)
    /// Ends the job as cancelled.
    case cancelled

    /// A success with a value.
    public static func success(_ value: some Encodable) throws -> TaskOutcome { .succeeded(try Payload(value)) }
}
