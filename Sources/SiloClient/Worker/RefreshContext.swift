public import Foundation
import SiloAPI

/// A floating limit that wants a new maximum.
public struct RefreshContext: Sendable {
    public let taskID: String
    public let tenant: String?
    public let key: String
    public let currentMax: UInt32
    /// Nil: never.
    public let lastRefreshed: Date?
    /// As the first job of the key gave it.
    public let metadata: [String: String]

    init(_ task: SiloV1.RefreshFloatingLimitTask) {
        taskID = task.id
        tenant = task.tenantId
        key = task.queueKey
        currentMax = task.currentMaxConcurrency
        lastRefreshed = task.lastRefreshedAtMs == 0 ? nil : Date(timeIntervalSince1970: Double(task.lastRefreshedAtMs) / 1000)
        metadata = task.metadata
    }
}
