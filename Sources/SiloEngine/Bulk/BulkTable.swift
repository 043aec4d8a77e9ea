import Protobuf
import SiloCore
import SiloStore

/// The bulk actions that a shard knows. Only the shard's loop touches it.
struct BulkTable {
    private(set) var actions: [BulkID: StorageV1.BulkAction] = [:]
    private var hasChanged = false

    var running: Int { actions.values.count { $0.goesOn } }

    subscript(id: BulkID) -> StorageV1.BulkAction? { actions[id] }

    mutating func set(_ id: BulkID, _ action: StorageV1.BulkAction?) {
        actions[id] = action
        hasChanged = true
    }

    /// Those of rows. One that cannot be read must not keep the shard from opening.
    mutating func take(_ rows: [Row]) {
        for row in rows {
            guard let id = ShardKeys.parseBulk(row.key),
                let action = try? StorageV1.BulkAction(serializedBytes: row.value)
            else { continue }
            set(id, action)
        }
    }

    /// Ended ones that are to be forgotten: what ended too long ago, and the oldest of too many.
    func overdue(by now: Timestamp, _ settings: EngineSettings) -> [BulkID] {
        let ended = actions.filter { !$0.value.goesOn }.sorted { ($0.value.endedAtMs, $0.key) > ($1.value.endedAtMs, $1.key) }
        let horizon = (now + -settings.bulkKeptMilliseconds).milliseconds
        return ended.enumerated().filter { $0.offset >= settings.bulkActionsKept || $0.element.value.endedAtMs < horizon }
            .map(\.element.key)
    }

    /// All of them, if anything has changed since the last call.
    mutating func takeChanged() -> [BulkID: StorageV1.BulkAction]? {
        defer { hasChanged = false }
        return hasChanged ? actions : nil
    }
}

extension StorageV1.BulkAction {
    package var goesOn: Bool { endedAtMs == 0 }

    package var refused: UInt64 { refusals.reduce(0) { $0 + $1.count } }

    private static let reasonsMax = 16
    /// Jobs of one reason that are named, and their names in bytes.
    private static let sampleMax = 10
    private static let sampleBytesMax = 2048

    /// Ends it, or its last part: the worst end of all parts is its own.
    mutating func end(_ end: StorageV1.BulkEnd, _ error: String = "", at now: Timestamp) {
        (self.end, self.error) = end.rawValue < partEnd.rawValue ? (partEnd, partError) : (end, error)
        // Never the 0 that means that it goes on.
        endedAtMs = max(1, now.milliseconds)
        left = []
    }

    /// Counts a job that was refused.
    mutating func refuse(_ job: FoundJob, _ reason: String) {
        var index = refusals.firstIndex { $0.reason == reason }
        if index == nil {
            let isFull = refusals.count >= Self.reasonsMax
            index = isFull ? refusals.count - 1 : refusals.count
            if !isFull {
                var refusal = StorageV1.BulkRefusal()
                refusal.reason = refusals.count == Self.reasonsMax - 1 ? "other reasons" : reason
                refusals.append(refusal)
            }
        }
        guard let index else { return }
        refusals[index].count += 1
        let bytes = refusals[index].sample.reduce(0) { $0 + $1.tenant.utf8.count + $1.id.utf8.count }
        guard refusals[index].sample.count < Self.sampleMax, bytes < Self.sampleBytesMax else { return }
        var sample = StorageV1.BulkJob()
        (sample.tenant, sample.id) = (job.tenant.name, job.id.text)
        refusals[index].sample.append(sample)
    }
}

extension SiloError {
    /// Why a job of a bulk action was refused: the same words for every job that is refused so.
    var reasonOfMany: String {
        switch self {
        case .jobAlreadyCancelled: "job is already cancelled"
        case .jobAlreadyTerminal: "job is already in terminal state"
        case .jobInProgress: "job has not finished"
        case .jobRefused(_, _, let reason, _): reason
        case .corrupt: "job cannot be read"
        default: "other reasons"
        }
    }
}
