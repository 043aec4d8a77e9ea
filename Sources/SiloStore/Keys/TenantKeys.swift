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
        key.append(state)
        key.append(period.number)
        key.append(contentsOf: template[(Self.familyIndex + 1)...])
        return key.bytes
    }

    /// The job among those of its slice that go at a time of their own.
    public func keptUntil(_ time: Timestamp, _ id: JobID) -> Bytes {
        var key = KeyEncoder(slice.prefix)
        key.append(Family.keptUntil.rawValue)
        key.append(time.sortable)
        key.append(contentsOf: template[(Self.familyIndex + 1)...])
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

    public var jobs: (start: Bytes, end: Bytes) { range(.job) }
    /// The tenant's part of the directory.
    public var queues: (start: Bytes, end: Bytes) { range(.queue) }
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

    /// Jobs that ended so in a period, newest first.
    public func finished(_ state: UInt8, in period: FinishedPeriod) -> (start: Bytes, end: Bytes) {
        finished(state, from: period.first, through: period.last)
    }

    /// Jobs that ended so between two moments, both with them, newest first.
    public func finished(_ state: UInt8, from first: Timestamp, through last: Timestamp) -> (start: Bytes, end: Bytes) {
        var newest = encoder(.finished)
        newest.append(state)
        var oldest = newest
        newest.append(~last.sortable)
        oldest.append(~first.sortable)
        return (newest.bytes, Slice.successor(of: oldest.bytes))
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

    /// When the job of a finished key ended, how, and its id.
    public func parseFinished(_ key: Bytes) -> (state: UInt8, changedAt: Timestamp, job: JobID)? {
        var decoder = KeyDecoder(key, after: template.count)
        guard let state = decoder.byte(), let changedAt = decoder.uint64(), let job = decoder.text() else { return nil }
        return (state, Timestamp(Int64(clamping: ~changedAt)), JobID(job))
    }

    /// The same of any key of the tenant; nil when it is not a finished one.
    public func parseFinishedRow(_ key: Bytes) -> (state: UInt8, changedAt: Timestamp, job: JobID)? {
        guard Slice(of: key) == slice, key[Self.familyIndex] == Family.finished.rawValue else { return nil }
        return parseFinished(key)
    }

    /// Where the job of a ready or timer key stands in its group.
    public func parseOrdered(_ key: Bytes) -> Position? {
        var decoder = KeyDecoder(key, after: template.count)
        guard decoder.text() != nil else { return nil }
        return decoder.position()
    }

    /// Every row of the tenant, but for the indexes that lie across tenants: what finishes a row of family 44 takes away.
    /// Jobs come last, and what says that the tenant has slots not at all.
    public var everything: [(start: Bytes, end: Bytes)] {
        let families: [Family] = [
            .ready, .lease, .date, .delay, .waiting, .slots, .bucket, .queue, .refresh, .pause, .line,
            .finished, .metadata, .attempt, .status, .job,
        ]
        return families.map(range) + (families + [.tenantState]).map { family in
            range(after: slice.prefix + [Family.setAside.rawValue] + encoder(family).bytes)
        }
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

    /// Every row of the tenant in a family.
    package func range(_ family: Family) -> (start: Bytes, end: Bytes) { range(after: encoder(family).bytes) }

    /// Rows of the metadata index with a key, and a value or the beginning of one; whoever asks for a longer one than is indexed
    /// compares the job's own.
    package func metadata(_ name: String, value: String, isPrefix: Bool) -> (start: Bytes, end: Bytes) {
        var key = encoder(.metadata)
        key.append(name)
        key.append(Self.indexed(value))
        // A text ends with two bytes.
        if isPrefix { key.bytes.removeLast(2) }
        return range(after: key.bytes)
    }

    private func range(after prefix: Bytes) -> (start: Bytes, end: Bytes) { (prefix, Slice.successor(of: prefix)) }
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
