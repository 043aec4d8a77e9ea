public import SiloCore

/// Keys of the rows of one tenant.
public struct TenantKeys: Sendable {
    public let slice: Slice
    /// What the tenant's keys begin with, but for the family in the middle.
    private let template: Bytes
    private static let familyIndex = 2

    public init(_ tenant: Tenant) {
        let hash = tenant.hash
        slice = Slice(of: hash)
        var key = KeyEncoder(slice.prefix)
        key.append(UInt8(0))
        key.append(hash.value)
        key.append(tenant.name)
        template = key.bytes
    }

    public func job(_ id: JobID) -> Bytes { key(.job, id.text) }
    public func status(_ id: JobID) -> Bytes { key(.status, id.text) }
    public func lease(_ id: JobID) -> Bytes { key(.lease, id.text) }

    public func attempt(_ id: JobID, _ number: UInt32) -> Bytes {
        var key = encoder(.attempt)
        key.append(id.text)
        key.append(number)
        return key.bytes
    }

    /// The bytes of a metadata value that its index key holds. A key has at most 65,535 bytes, a value as many by itself; of a
    /// longer one the key holds the beginning, and whoever looks for it compares the job's own.
    public static let indexedValueBytesMax = 1024

    public func metadata(_ name: String, _ value: String, _ id: JobID) -> Bytes {
        var key = encoder(.metadata)
        key.append(name)
        key.append(Self.indexed(value))
        key.append(id.text)
        return key.bytes
    }

    public func ready(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.ready, group, position) }
    public func date(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.date, group, position) }
    public func delay(_ group: TaskGroup, _ position: Position) -> Bytes { ordered(.delay, group, position) }

    public func waiting(_ line: LineID, _ position: Position) -> Bytes {
        var key = waiting(line)
        key.append(position)
        return key.bytes
    }

    public func slots(_ limit: LimitKey) -> Bytes { key(.slots, limit.text) }

    public func bucket(_ name: LimitKey, _ uniqueKey: LimitKey) -> Bytes {
        var key = encoder(.bucket)
        key.append(name.text)
        key.append(uniqueKey.text)
        return key.bytes
    }

    public func finished(_ state: UInt8, _ changedAt: Timestamp, _ id: JobID) -> Bytes {
        var key = encoder(.finished)
        key.append(state)
        key.append(~changedAt.sortable)
        key.append(id.text)
        return key.bytes
    }

    /// The job among the failed ones of all tenants of its slice.
    public func failed(_ changedAt: Timestamp, _ id: JobID) -> Bytes {
        var key = KeyEncoder(slice.prefix)
        key.append(Family.failed.rawValue)
        key.append(~changedAt.sortable)
        key.append(contentsOf: template[(Self.familyIndex + 1)...])
        key.append(id.text)
        return key.bytes
    }

    /// Says that jobs of the tenant ended so in a period.
    public func period(_ period: FinishedPeriod, _ state: UInt8) -> Bytes {
        var key = KeyEncoder(slice.prefix)
        key.append(Family.period.rawValue)
        key.append(period.number)
        key.append(state)
        key.append(contentsOf: template[(Self.familyIndex + 1)...])
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

    /// Jobs that ended so, newest first.
    public func finished(_ state: UInt8) -> (start: Bytes, end: Bytes) {
        var key = encoder(.finished)
        key.append(state)
        return range(after: key.bytes)
    }

    public func attempts(of id: JobID) -> (start: Bytes, end: Bytes) { range(after: key(.attempt, id.text)) }

    /// Ready rows of a group from a position on.
    public func ready(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (ready(group, position), Slice.successor(of: key(.ready, group.text)))
    }

    /// Timer rows of a group that wait for a date, from a position on.
    public func dates(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (date(group, position), Slice.successor(of: key(.date, group.text)))
    }

    /// Those that wait for a length of time to pass.
    public func delays(_ group: TaskGroup, from position: Position) -> (start: Bytes, end: Bytes) {
        (delay(group, position), Slice.successor(of: key(.delay, group.text)))
    }

    /// Waiting rows of a line from a position on.
    public func waiting(_ line: LineID, from position: Position) -> (start: Bytes, end: Bytes) {
        (waiting(line, position), Slice.successor(of: waiting(line).bytes))
    }

    // Taking keys apart.

    /// The limit of a slots key.
    public func parseSlots(_ key: Bytes) -> LimitKey? {
        var decoder = KeyDecoder(key, after: template.count)
        return decoder.text().map { LimitKey($0) }
    }

    /// The line of a waiting key, and where the job stands in it.
    public func parseWaiting(_ key: Bytes) -> (line: LineID, position: Position)? {
        var decoder = KeyDecoder(key, after: template.count)
        guard let line = decoder.line(), let position = decoder.position() else { return nil }
        return (line, position)
    }

    /// The job of a job, status or lease key.
    public func parseJob(_ key: Bytes) -> JobID? {
        var decoder = KeyDecoder(key, after: template.count)
        return decoder.text().map(JobID.init)
    }

    /// Where the job of a ready or timer key stands in its group.
    public func parseOrdered(_ key: Bytes) -> Position? {
        var decoder = KeyDecoder(key, after: template.count)
        guard decoder.text() != nil else { return nil }
        return decoder.position()
    }

    private func encoder(_ family: Family) -> KeyEncoder {
        var key = KeyEncoder(template)
        key.bytes[Self.familyIndex] = family.rawValue
        return key
    }

    private func key(_ family: Family, _ text: String) -> Bytes {
        var key = encoder(family)
        key.append(text)
        return key.bytes
    }

    private func ordered(_ family: Family, _ group: TaskGroup, _ position: Position) -> Bytes {
        var key = encoder(family)
        key.append(group.text)
        key.append(position)
        return key.bytes
    }

    private func waiting(_ line: LineID) -> KeyEncoder {
        var key = encoder(.waiting)
        key.append(line.hash.high)
        key.append(line.hash.low)
        return key
    }

    private func range(_ family: Family) -> (start: Bytes, end: Bytes) { range(after: encoder(family).bytes) }

    private func range(after prefix: Bytes) -> (start: Bytes, end: Bytes) { (prefix, Slice.successor(of: prefix)) }
}

/// About 17 minutes of the wall clock: retention looks at tenants whose jobs ended in one, not at all.
public struct FinishedPeriod: Hashable, Sendable {
    public let number: UInt64

    /// The one that a time lies in.
    public init(of time: Timestamp) { number = time.sortable >> Self.bits }

    private static let bits = 20
}

extension KeyEncoder {
    mutating func append(_ position: Position) {
        append(position.order)
        append(position.arrival)
        append(position.job.text)
    }

    mutating func append(contentsOf part: ArraySlice<UInt8>) { bytes.append(contentsOf: part) }
}

extension KeyDecoder {
    fileprivate mutating func position() -> Position? {
        guard let order = uint64(), let arrival = uint64(), let job = text() else { return nil }
        return Position(order: order, arrival: arrival, job: JobID(job))
    }
}
