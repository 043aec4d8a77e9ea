/// Names a job within its tenant. Chosen by the application, or a random UUID.
public struct JobID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String
    public init(_ text: String) { self.text = text }
    public var description: String { text }
    public static func < (left: JobID, right: JobID) -> Bool { left.text < right.text }
}

/// Names one running attempt: what a worker heartbeats and reports.
public struct TaskID: Hashable, Sendable, CustomStringConvertible {
    public let uuid: UUID
    public init(_ uuid: UUID) { self.uuid = uuid }
    public var description: String { uuid.text }
}

/// Names a shard.
public struct ShardID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let uuid: UUID
    public init(_ uuid: UUID) { self.uuid = uuid }

    /// Any standard text form of a UUID; nil when it is none.
    public init?(_ text: String) {
        guard let uuid = UUID(text) else { return nil }
        self.uuid = uuid
    }

    public var description: String { uuid.text }
    public static func < (left: ShardID, right: ShardID) -> Bool { left.uuid < right.uuid }
}
