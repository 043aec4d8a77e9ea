import Protobuf
import SiloCore
import SiloStore

/// Jobs of one tenant that wait with the same limits, in order of rank. As they ask for the same, what keeps the first from
/// starting keeps them all, and a line waits at one limit at a time: moving it to another writes nothing.
final class Line: WindowOwner, RowOwner {
    struct ID: Hashable {
        let tenant: Tenant
        let line: LineID
    }
    let id: ID
    let keys: TenantKeys
    let limits: [StorageV1.Limit]
    private(set) var waiting: UInt64
    var window: Window

    /// The limit that has no room for its head; nil when that has not been found out yet.
    weak var blockedAt: Limit?
    /// The maximum that its jobs bring to that limit; nil: the floating limit's own, or a bucket.
    var blockedMax: UInt32?
    /// Since when slots came free that it could not use, because its jobs need others besides; nil: none did.
    var passedOverSince: Timestamp?
    /// Tells its entry at that limit from older ones.
    var ticket = 0

    var isDirty = false
    var isStored: Bool
    var heldSince = 0
    /// The batch that is being made adds or takes away rows that the window may not hold.
    var hasUnwrittenRows = false

    /// - Parameter record: as stored, or a new one with nothing but its limits.
    init(_ id: ID, _ record: StorageV1.Line, isStored: Bool) {
        self.id = id
        self.isStored = isStored
        keys = TenantKeys(id.tenant)
        limits = record.limits
        waiting = record.waiting
        window = Window(frontier: record.waiting > 0 ? Position(from: record.waitingFrom) : nil)
    }

    /// No job of the line stands before.
    var head: Position { window.first?.position ?? window.frontier ?? Position(from: .max) }

    func counted(in count: UInt64) { change { $0 += count } }
    func countedOut(_ count: UInt64 = 1, _ healed: Healed) { change { healed.countDown(&$0, by: count, .lineCount) } }

    private func change(_ count: (inout UInt64) -> Void) {
        let before = waiting
        count(&waiting)
        blockedAt?.lines.changed(from: before, to: waiting)
    }

    var heldRows: Int { window.count }
    var heldBytes: Int { window.bytes }
    func letRowsGo() { window.clear() }

    /// The row that says what memory says; no value when nobody waits.
    func row() -> Write {
        let key = ShardKeys.line(id.tenant, id.line)
        guard waiting > 0 else { return Write(key: key, value: nil) }
        var record = StorageV1.Line()
        record.limits = limits
        record.waiting = waiting
        record.waitingFrom = window.lowerBound
        return Write(key: key, value: record.serializedBytes())
    }
}
