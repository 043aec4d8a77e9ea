import SiloCore

/// How a job stood when somebody looked: whatever a condition may say of it is the same for as long as this is, but for the time.
public struct JobStamp: Equatable, Sendable {
    private let state: StorageV1.JobState?
    private let changedAt: Int64
    private let attempts: [UInt32]
    private let times: [Int64?]
    /// Of the attempt that runs.
    private let task: Bytes?

    /// - Parameters: the job's other rows; nil where it has none.
    public init(_ status: StorageV1.Status?, _ lease: StorageV1.Lease?) {
        state = status?.state
        changedAt = status?.changedAtMs ?? 0
        attempts = status.map { [$0.attempt, $0.relativeAttempt] } ?? []
        times = status.map { [$0.startMs, $0.dueMs, $0.cancelledAtMs] } ?? []
        task = lease?.taskId
    }
}
