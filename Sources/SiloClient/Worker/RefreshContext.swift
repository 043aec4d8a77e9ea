public import Foundation
import SiloAPI

/// A floating limit whose maximum is to be found out again, as a refresh handler gets it. When the lease is lost, the Swift task
/// that runs the handler is cancelled, and `isCancelled` says so.
public struct RefreshContext: Sendable {
    public let taskID: String
    /// The key of the limit.
    public let key: String
    public let tenant: String?
    /// The task group whose jobs wait for the limit.
    public let group: String
    /// The maximum in force.
    public let currentMax: UInt32
    /// When it was last set by a refresh; nil: never.
    public let lastRefreshedAt: Date?
    /// What the first job of the limit brought along.
    public let metadata: JobMetadata
    let execution: Execution

    init(_ task: SiloV1.RefreshFloatingLimitTask, _ execution: Execution) {
        taskID = task.id
        key = task.queueKey
        tenant = task.tenantId
        group = task.taskGroup
        currentMax = task.currentMaxConcurrency
        lastRefreshedAt = task.lastRefreshedAtMs == 0 ? nil : Date(milliseconds: task.lastRefreshedAtMs)
        metadata = JobMetadata(task.metadata)
        self.execution = execution
    }

    /// Stop: another worker may have the refresh.
    public var isCancelled: Bool { execution.ending != nil }
}
