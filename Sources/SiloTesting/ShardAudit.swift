public import SiloStore

/// Recounts a shard's whole database from its rows and says what does not hold.
public struct ShardAudit {
    private let audit = RunningAudit()
    public let violations: [String]

    public init(_ rows: [Row]) {
        violations = audit.apply(rows.map { Write(key: $0.key, value: $0.value) })
    }

    /// Jobs found, and those of them that are finished.
    public var total: Int { audit.total }
    public var completed: Int { audit.completed }
    /// Rows that could not be read and were moved out of the way.
    public var setAside: Int { audit.setAside }
    /// See `RunningAudit.stuckLines`.
    public var stuckLines: [String] { audit.stuckLines }
}
