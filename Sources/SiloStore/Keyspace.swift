public import SiloCore

// The whole keyspace of a shard's database. Reading this file is knowing the database.
//
//   00                                              (LogPosition) of the store itself, where its log is on a local disk
//   01                                              ShardInfo    what the database says of itself
//   02 hash tenant group                            QueueCounts  the directory: every queue that has jobs
//   03 key                                          (as found)   rows that could not be read, set aside
//   04 hash tenant line                             Line         every line of jobs that wait with the same limits
//   05 hash tenant key                              Refresh      the outstanding refresh of a floating limit
//   06 hash tenant                                  TenantState  of tenants whose holders were dropped
//   07 hash tenant kind name                        Pause        what is paused
//   10 hash tenant 41 job attempt                   Attempt      finished attempts, but for the one that ended the job
//                  42 name key                      Bucket       what of a rate limit is used
//                  44 group due arrival job         Task         waits for a length of time to pass, by the shard's steady time
//                  48 key                           Slots        what of a concurrency limit is held
//                  4A job                           Job          what was asked for
//                  4C job                           Lease        the running attempt
//                  4D key value job                 (empty)      metadata index
//                  52 group rank arrival job        Task         ready to run, in order of rank, then of arrival
//                  53 job                           Status       what became of the job
//                  54 group due arrival job         Task         waits for its date
//                  57 line rank arrival job         Task         waits at a limit, in order of rank, then of arrival
//                  58 state ~changed job            (empty)      finished jobs, newest first
//
// A job stands in exactly one place: a ready row (52), a timer row (44 or 54), a waiting row (57), a lease row (4C) or a finished
// row (58). Everything of a tenant is one range of keys, and tenants are ordered by their routing hash there and in the
// indexes 02 and 04 to 07, so that a split cuts each at one hash. A pause of a task group for all tenants has hash 0 and no
// tenant.

/// Keys that belong to the shard as a whole.
public enum ShardKeys {
    /// The format that this code reads and writes. A database of another one is refused.
    public static let formatVersion: UInt32 = 3

    public static let info: Bytes = [0x01]

    /// Where a row that cannot be read is set aside, so that it blocks nobody and is not lost.
    public static func setAside(_ key: Bytes) -> Bytes { [0x03] + key }

    /// Every row of the directory.
    public static let queues: (start: Bytes, end: Bytes) = ([0x02], [0x03])

    /// Every line.
    public static let lines: (start: Bytes, end: Bytes) = ([0x04], [0x05])
    /// Every outstanding refresh.
    public static let refreshes: (start: Bytes, end: Bytes) = ([0x05], [0x06])
    /// Every tenant that has a state of its own.
    public static let tenantStates: (start: Bytes, end: Bytes) = ([0x06], [0x07])
    /// Every pause.
    public static let pauses: (start: Bytes, end: Bytes) = ([0x07], [0x08])

    /// Every row of every tenant.
    public static let tenants: (start: Bytes, end: Bytes) = ([0x10], [0x11])

    /// The tenant of any key of a tenant; nil when it is malformed.
    public static func parseTenant(_ key: Bytes) -> Tenant? {
        var decoder = KeyDecoder(key, after: 1)
        guard decoder.uint64() != nil else { return nil }
        return decoder.text().map { Tenant($0) }
    }

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

    public static func line(_ tenant: Tenant, _ id: LineID) -> Bytes {
        var key = index(0x04, tenant)
        key.append(id.hash.high)
        key.append(id.hash.low)
        return key.bytes
    }

    /// The tenant and id of a line's key; nil when it is malformed.
    public static func parseLine(_ key: Bytes) -> (tenant: Tenant, id: LineID)? {
        var decoder = KeyDecoder(key, after: 1)
        guard decoder.uint64() != nil, let tenant = decoder.text(), let high = decoder.uint64(), let low = decoder.uint64() else {
            return nil
        }
        return (Tenant(tenant), LineID(Hash128(high: high, low: low)))
    }

    public static func refresh(_ tenant: Tenant, _ limit: LimitKey) -> Bytes {
        var key = index(0x05, tenant)
        key.append(limit.text)
        return key.bytes
    }

    /// The tenant and limit of a refresh's key; nil when it is malformed.
    public static func parseRefresh(_ key: Bytes) -> (tenant: Tenant, limit: LimitKey)? {
        var decoder = KeyDecoder(key, after: 1)
        guard decoder.uint64() != nil, let tenant = decoder.text(), let limit = decoder.text() else { return nil }
        return (Tenant(tenant), LimitKey(limit))
    }

    public static func tenantState(_ tenant: Tenant) -> Bytes { index(0x06, tenant).bytes }

    public static func pause(_ target: PauseTarget) -> Bytes {
        var key: KeyEncoder
        if let tenant = target.tenant {
            key = index(0x07, tenant)
        } else {
            key = KeyEncoder([0x07])
            key.append(UInt64(0))
            key.append("")
        }
        key.append(target.kind)
        key.append(target.name)
        return key.bytes
    }

    /// What a pause's key stops; nil when it is malformed.
    public static func parsePause(_ key: Bytes) -> PauseTarget? {
        var decoder = KeyDecoder(key, after: 1)
        guard decoder.uint64() != nil, let tenant = decoder.text(), let kind = decoder.byte(), let name = decoder.text() else {
            return nil
        }
        return PauseTarget(kind: kind, tenant: tenant.isEmpty ? nil : Tenant(tenant), name: name)
    }

    private static func index(_ family: UInt8, _ tenant: Tenant) -> KeyEncoder {
        var key = KeyEncoder([family])
        key.append(tenant.hash.value)
        key.append(tenant.name)
        return key
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
        case bucket = 0x42
        case delay = 0x44
        case slots = 0x48
        case job = 0x4a
        case lease = 0x4c
        case metadata = 0x4d
        case ready = 0x52
        case status = 0x53
        case date = 0x54
        case waiting = 0x57
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

    public func ready(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.ready, group, position) }
    public func date(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.date, group, position) }
    public func delay(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.delay, group, position) }

    public func waiting(_ line: LineID, _ position: Position) -> Bytes {
        var key = KeyEncoder(waitingPrefix(line))
        append(position, to: &key)
        return key.bytes
    }

    public func slots(_ limit: LimitKey) -> Bytes { key(.slots, limit.text) }

    public func bucket(_ name: LimitKey, _ uniqueKey: LimitKey) -> Bytes {
        var key = KeyEncoder(self.key(.bucket, name.text))
        key.append(uniqueKey.text)
        return key.bytes
    }

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
    public var slots: (start: Bytes, end: Bytes) { range(.slots) }
    public var buckets: (start: Bytes, end: Bytes) { range(.bucket) }
    /// Ready rows of every group.
    public var ready: (start: Bytes, end: Bytes) { range(.ready) }
    /// Timers of every group.
    public var dates: (start: Bytes, end: Bytes) { range(.date) }
    public var delays: (start: Bytes, end: Bytes) { range(.delay) }
    public var waiting: (start: Bytes, end: Bytes) { range(.waiting) }

    public func attempts(of id: JobID) -> (start: Bytes, end: Bytes) {
        let prefix = key(.attempt, id.text)
        return (prefix, Self.successor(of: prefix))
    }

    /// Ready rows of a group from a position on.
    public func ready(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (ready(group, position), Self.successor(of: key(.ready, group.text)))
    }

    /// Timer rows of a group that wait for a date, from a position on.
    public func dates(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (date(group, position), Self.successor(of: key(.date, group.text)))
    }

    /// Those that wait for a length of time to pass.
    public func delays(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (delay(group, position), Self.successor(of: key(.delay, group.text)))
    }

    /// Waiting rows of a line from a position on.
    public func waiting(_ line: LineID, from position: Position) -> (start: Bytes, end: Bytes) {
        (waiting(line, position), Self.successor(of: waitingPrefix(line)))
    }

    // Taking keys apart.

    /// The limit of a slots key.
    public func parseSlots(_ key: Bytes) -> LimitKey? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        return decoder.text().map { LimitKey($0) }
    }

    /// The line of a waiting key, and where the job stands in it.
    public func parseWaiting(_ key: Bytes) -> (line: LineID, position: Position)? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        guard let high = decoder.uint64(), let low = decoder.uint64(), let position = decoder.position() else { return nil }
        return (LineID(Hash128(high: high, low: low)), position)
    }

    /// The job of a job, status or lease key.
    public func parseJob(_ key: Bytes) -> JobID? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        return decoder.text().map(JobID.init)
    }

    /// Where the job of a ready or timer key stands in its group.
    public func parseOrdered(_ key: Bytes) -> Position? {
        var decoder = KeyDecoder(key, after: prefix.count + 1)
        guard decoder.text() != nil else { return nil }
        return decoder.position()
    }

    private func key(_ family: Family, _ text: String) -> Bytes {
        var key = KeyEncoder(prefix)
        key.append(family.rawValue)
        key.append(text)
        return key.bytes
    }

    private func ordered(_ family: Family, _ group: TaskGroup, _ position: Position) -> Bytes {
        var key = KeyEncoder(prefix, reserving: 96)
        key.append(family.rawValue)
        key.append(group.text)
        append(position, to: &key)
        return key.bytes
    }

    private func append(_ position: Position, to key: inout KeyEncoder) {
        key.append(position.order)
        key.append(position.arrival)
        key.append(position.job.text)
    }

    private func waitingPrefix(_ line: LineID) -> Bytes {
        var key = KeyEncoder(prefix, reserving: 96)
        key.append(Family.waiting.rawValue)
        key.append(line.hash.high)
        key.append(line.hash.low)
        return key.bytes
    }

    private func range(_ family: Family) -> (start: Bytes, end: Bytes) {
        (prefix + [family.rawValue], prefix + [family.rawValue + 1])
    }

    /// The first key after all that begin with `prefix`, which begins below 0xFF.
    private static func successor(of prefix: Bytes) -> Bytes {
        var end = prefix
        while end.last == 0xff { end.removeLast() }
        if let last = end.popLast() { end.append(last + 1) }
        return end
    }
}

extension KeyDecoder {
    fileprivate mutating func position() -> Position? {
        guard let order = uint64(), let arrival = uint64(), let job = text() else { return nil }
        return Position(order: order, arrival: arrival, job: JobID(job))
    }
}
