import Protobuf
package import SiloCore
import SiloStore

/// Which jobs are listed. All that is named has to hold.
package struct JobFilter: Sendable {
    /// Whose; nil: everybody's.
    package var tenants: [Tenant]?
    /// Nil: any.
    var status: ShownStatus?
    /// Nil: any.
    package var groups: Set<TaskGroup>?
    /// Jobs that cannot be read are told, of whatever group they are.
    package var tellsUnreadable = true
    /// Entries that a job has.
    package var metadata: [(key: String, value: String)] = []
    /// Of a limit that a job names; nil: any.
    package var limitKey: String?
    /// Of the attempt that ended a failed job; nil: any.
    package var errorCode: String?
    /// When the status changed, in milliseconds of dates.
    package var changed: Range<Int64> = Int64.min..<Int64.max

    package init() {}

    /// As the table `jobs` has it.
    /// - Returns: false when there is no such status.
    package mutating func setStatus(_ text: String) -> Bool {
        guard let status = ShownStatus(text) else { return false }
        self.status = status
        return true
    }

    /// Only the job's own record says whether it is meant.
    var needsRecord: Bool { groups != nil || !metadata.isEmpty || limitKey != nil }

    func takes(_ job: StorageV1.Job) -> Bool {
        if let groups, !groups.contains(TaskGroup(job.taskGroup)) { return false }
        guard metadata.allSatisfy({ job.metadata[$0.key]?.hasSameBytes(as: $0.value) ?? false }) else { return false }
        guard let limitKey else { return true }
        return job.limits.contains { limit in
            switch limit.kind {
            case .concurrency(let limit): limit.key.hasSameBytes(as: limitKey)
            case .floating(let limit): limit.key.hasSameBytes(as: limitKey)
            case .rate(let limit): limit.uniqueKey.hasSameBytes(as: limitKey)
            case nil: false
            }
        }
    }
}

/// A job on a list.
package struct ListedJob: Sendable {
    package let shard: ShardID
    package let tenant: Tenant
    package let id: JobID
    /// As the table `jobs` has it.
    package var status = ""
    package var changedAt: Int64 = 0
    package var group = ""
    package var priority: UInt32 = 0
    package var enqueuedAt: Int64 = 0
    package var attempt: UInt32 = 0
    package var nextStart: Int64?
    package var errorCode = ""
}

/// A part of a list.
package struct JobListPage: Sendable {
    package var jobs: [ListedJob] = []
    /// Whose rows cannot be read: of these only the shard, the tenant and the id are known, and not whether they are meant.
    package var unreadable: [ListedJob] = []
    /// Where it goes on; nil: there are no more.
    package var next: ListCursor?
    /// Jobs that were looked at.
    package var lookedAt = 0
    package var isNewestFirst = false
}

/// The last row that was looked at: a list goes on behind it, whatever has come or gone meanwhile.
package struct ListCursor: Sendable, Equatable {
    package let shard: ShardID
    let key: Bytes
    private static let bytesMax = 96 << 10

    init(shard: ShardID, key: Bytes) {
        self.shard = shard
        self.key = key
    }

    /// Nil: it is none.
    package init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0, digits.count <= 2 * Self.bytesMax else { return nil }
        var bytes: Bytes = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.value(digits[index]), let low = Self.value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        guard bytes.count > 16, let uuid = UUID(bytes: Bytes(bytes.prefix(16))) else { return nil }
        self.init(shard: ShardID(uuid), key: Bytes(bytes.dropFirst(16)))
    }

    package var text: String {
        let digits = Array("0123456789abcdef".utf8)
        let bytes = (UUID(shard.description)?.bytes ?? []) + key
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
