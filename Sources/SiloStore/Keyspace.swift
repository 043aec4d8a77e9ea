public import SiloCore

// The whole keyspace of a shard's database. Reading this file is knowing the database.
//
//   01                                              ShardInfo    what the database says of itself
//   02 hash tenant group                            QueueCounts  the directory: every queue that has jobs
//   03 key                                          (as found)   rows that could not be read, set aside
//   10 hash tenant 41 job attempt                   Attempt      finished attempts, but for the one that ended the job
//                  4A job                           Job          what was asked for
//                  4C job                           Lease        the running attempt
//                  4D key value job                 (empty)      metadata index
//                  52 group rank job                Task         ready to run, in order of rank
//                  53 job                           Status       what became of the job
//                  54 group start job               Task         waits for its start time
//                  58 state ~changed job            (empty)      finished jobs, newest first
//
// A job stands in exactly one place: a ready row (52), a timer row (54), a lease row (4C) or a finished row (58).
// Everything of a tenant is one range of keys, and tenants are ordered by their routing hash, so that a split cuts the
// database at one key.

/// Keys that belong to the shard as a whole.
public enum ShardKeys {
    /// The format that this code writes. A database with a higher one is refused.
    public static let formatVersion: UInt32 = 1

    public static let info: Bytes = [0x01]

    /// Where a row that cannot be read is set aside, so that it blocks nobody and is not lost.
    public static func setAside(_ key: Bytes) -> Bytes { [0x03] + key }

    /// Every row of the directory.
    public static let queues: (start: Bytes, end: Bytes) = ([0x02], [0x03])

    /// Every row of every tenant.
    public static let tenants: (start: Bytes, end: Bytes) = ([0x10], [0x11])

    public static func queue(_ tenant: Tenant, _ group: TaskGroup) -> Bytes {
        var key = KeyEncoder()
        key.append(UInt8(0x02))
        key.append(tenant.hash.value)
        key.append(tenant.name)
        key.append(group.text)
        return key.bytes
    }

    /// The tenant and task group of a directory key; nil when it is malformed.
    public static func parseQueue(_ key: Bytes) -> (tenant: Tenant, group: TaskGroup)? {
        var decoder = KeyDecoder(key, after: 1)
        guard decoder.uint64() != nil, let tenant = decoder.text(), let group = decoder.text() else { return nil }
        return (Tenant(tenant), TaskGroup(group))
    }
}

/// Keys that belong to one tenant.
public struct TenantKeys: Sendable {
    /// What all the tenant's keys begin with.
    public let prefix: Bytes

    public init(_ tenant: Tenant) {
        var key = KeyEncoder()
        key.append(UInt8(0x10))
        key.append(tenant.hash.value)
        key.append(tenant.name)
        prefix = key.bytes
    }

    private enum Family: UInt8 {
        case attempt = 0x41
        case job = 0x4a
        case lease = 0x4c
        case metadata = 0x4d
        case ready = 0x52
        case status = 0x53
        case timer = 0x54
        case finished = 0x58
    }

    public func job(_ id: JobID) -> Bytes { key(.job, id.text) }
    public func status(_ id: JobID) -> Bytes { key(.status, id.text) }
    public func lease(_ id: JobID) -> Bytes { key(.lease, id.text) }

    public func attempt(_ id: JobID, _ number: UInt32) -> Bytes {
        var key = KeyEncoder(self.key(.attempt, id.text))
        key.append(number)
        return key.bytes
    }

    /// The bytes of a metadata value that its index key holds. A key has at most 65,535 bytes, a value as many by itself; of a
    /// longer one the key holds the beginning, and whoever looks for it compares the job's own.
    public static let indexedValueBytesMax = 1024

    public func metadata(_ name: String, _ value: String, _ id: JobID) -> Bytes {
        var key = KeyEncoder(self.key(.metadata, name))
        key.append(Self.indexed(value))
        key.append(id.text)
        return key.bytes
    }

    public func ready(_ group: TaskGroup, _ rank: UInt64, _ id: JobID) -> Bytes { ordered(.ready, group, rank, id) }
    public func timer(_ group: TaskGroup, _ start: UInt64, _ id: JobID) -> Bytes { ordered(.timer, group, start, id) }

    public func finished(_ state: UInt8, _ changedAt: Timestamp, _ id: JobID) -> Bytes {
        var key = KeyEncoder(prefix)
        key.append(Family.finished.rawValue)
        key.append(state)
        key.append(~changedAt.sortable)
        key.append(id.text)
        return key.bytes
    }

    /// What of a metadata value is indexed: whole characters only.
    public static func indexed(_ value: String) -> String {
        guard value.utf8.count > indexedValueBytesMax else { return value }
        var end = value.utf8.index(value.utf8.startIndex, offsetBy: indexedValueBytesMax)
        while end.samePosition(in: value.unicodeScalars) == nil { end = value.utf8.index(before: end) }
        return String(value[..<end])
    }

    // Ranges.

    public var all: (start: Bytes, end: Bytes) { (prefix, Self.successor(of: prefix)) }
    public var jobs: (start: Bytes, end: Bytes) { range(.job) }
    public var leases: (start: Bytes, end: Bytes) { range(.lease) }

    public func attempts(of id: JobID) -> (start: Bytes, end: Bytes) {
        let prefix = key(.attempt, id.text)
        return (prefix, Self.successor(of: prefix))
    }

    /// Ready rows of a group from a rank and job on.
    public func ready(_ group: TaskGroup, from rank: UInt64, _ id: JobID) -> (start: Bytes, end: Bytes) {
        (ready(group, rank, id), Self.successor(of: key(.ready, group.text)))
    }

    /// Timer rows of a group from a start and job on.
    public func timers(_ group: TaskGroup, from start: UInt64, _ id: JobID) -> (start: Bytes, end: Bytes) {
        (timer(group, start, id), Self.successor(of: key(.timer, group.text)))
    }

    // Taking keys apart.

    /// The job of a job, status or lease key.
    public func parseJob(_ key: Bytes) -> JobID? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        return decoder.text().map(JobID.init)
    }

    /// Rank or start, and the job, of a ready or timer key of `group`.
    public func parseOrdered(_ key: Bytes) -> (order: UInt64, job: JobID)? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        guard decoder.text() != nil, let order = decoder.uint64(), let job = decoder.text() else { return nil }
        return (order, JobID(job))
    }

    private func key(_ family: Family, _ text: String) -> Bytes {
        var key = KeyEncoder(prefix)
        key.append(family.rawValue)
        key.append(text)
        return key.bytes
    }

    private func ordered(_ family: Family, _ group: TaskGroup, _ order: UInt64, _ id: JobID) -> Bytes {
        var key = KeyEncoder(prefix, reserving: 96)
        key.append(family.rawValue)
        key.append(group.text)
        key.append(order)
        key.append(id.text)
        return key.bytes
    }

    private func range(_ family: Family) -> (start: Bytes, end: Bytes) {
        (prefix + [family.rawValue], prefix + [family.rawValue + 1])
    }

    /// The first key after all that begin with `prefix`. Every prefix here ends below 0xFF.
    private static func successor(of prefix: Bytes) -> Bytes {
        var end = prefix
        if let last = end.popLast() { end.append(last + 1) }
        return end
    }
}
