package import SiloCore
package import SiloStore

/// A shard as a list sees it: one unchanging view, in which everything is durable.
package struct ListedShard: Sendable {
    package let id: ShardID
    package let range: ShardRange
    private let reader: any StoreReader
    private let moment: Moment
    let failureBounds: FailureBounds?

    /// - Parameters:
    ///   - moment: when the view was taken, by the shard's clocks.
    ///   - failureBounds: of the shard; nil: nobody notes them.
    package init(
        id: ShardID, range: ShardRange, reader: any StoreReader, moment: Moment, failureBounds: FailureBounds? = nil
    ) {
        self.id = id
        self.range = range
        self.reader = reader
        self.moment = moment
        self.failureBounds = failureBounds
    }

    /// What a list holds of directories, in bytes.
    private static let heldBytesMax = 64 << 20

    /// For a list that ends by its own budget.
    static func scanned(_ shards: [ListedShard], _ clock: any Clock) -> [ScannedShard] {
        let control = StatementControl(timeoutMilliseconds: 0, clock: clock)
        let held = HeldRows.Budget(most: heldBytesMax, control)
        return shards.enumerated().map { number, shard in
            let reader = CountedReader(
                reader: shard.reader, counts: ReadCounts(), control: control, fence: nil, held: HeldRows(held))
            return ScannedShard(number: number, id: shard.id, range: shard.range, moment: shard.moment, reader: reader)
        }
    }
}

/// A range of rows of one shard that jobs are listed from.
struct ListedRange {
    let shard: Int
    let start: Bytes
    let end: Bytes
    /// Bytes of each key before what rows of several ranges are ordered by.
    let prefixCount: Int
    /// It has all failures of this slice.
    let failuresOf: Slice?
    let arm: @Sendable ((start: Bytes, end: Bytes)) -> JobArm

    init(
        _ shard: Int, _ range: (start: Bytes, end: Bytes), prefixCount: Int = 0, failuresOf: Slice? = nil,
        _ arm: @escaping @Sendable ((start: Bytes, end: Bytes)) -> JobArm
    ) {
        self.shard = shard
        start = range.start
        end = range.end
        self.prefixCount = prefixCount
        self.failuresOf = failuresOf
        self.arm = arm
    }

    /// What follows the prefix.
    func suffix(_ key: Bytes) -> ArraySlice<UInt8> { key.dropFirst(prefixCount) }

    func contains(_ key: Bytes) -> Bool {
        !key.lexicographicallyPrecedes(start) && key.lexicographicallyPrecedes(end)
    }

    /// Its rows from a key on; nil: there can be none.
    func from(_ key: Bytes) -> ListedRange? {
        let start = self.start.lexicographicallyPrecedes(key) ? key : self.start
        guard start.lexicographicallyPrecedes(end) else { return nil }
        return ListedRange(shard, (start, end), prefixCount: prefixCount, failuresOf: failuresOf, arm)
    }
}

/// The rows of a range, one after another.
///
/// `@unchecked Sendable`: one task at a time reads.
final class ListedRows: @unchecked Sendable {
    let range: ListedRange
    private let pages: JobPages
    private var page: ArraySlice<JobRow> = []

    init(_ range: ListedRange, needs: JobNeeds, wanted: Int, _ shards: [ScannedShard]) {
        self.range = range
        pages = JobPages(range.arm((range.start, range.end)), needs: needs, wanted: wanted, shards[range.shard])
    }

    func next() async throws(StoreError) -> JobRow? {
        if page.isEmpty { page = (try await pages.next() ?? [])[...] }
        return page.popFirst()
    }
}

extension JobFilter {
    /// Whether an index has the jobs by when they ended.
    var isByTime: Bool {
        guard let status, status.stored != nil else { return false }
        if tenants == nil { return status == .failed }
        return metadata.isEmpty
    }

    /// What is to be read, in the order of keys within a shard.
    func ranges(of shard: ScannedShard) async throws(StoreError) -> [ListedRange] {
        let parts = try await Part.all(of: shard, tenants)
        return parts.flatMap { ranges(shard.number, of: $0) }.sorted { $0.start.lexicographicallyPrecedes($1.start) }
    }

    private func ranges(_ shard: Int, of part: Part) -> [ListedRange] {
        if case .tenant(let tenant) = part, let first = metadata.first {
            let range = TenantKeys(tenant).metadata(first.key, value: first.value, isPrefix: false)
            return [ListedRange(shard, range) { .metadata(tenant, $0) }]
        }
        let steady = ListedRange(shard, part.range(.delay)) { [status] in
            .timers($0, isSteady: true, [status ?? .scheduled])
        }
        let dates = ListedRange(shard, part.range(.date)) { [status] in .timers($0, isSteady: false, [status ?? .scheduled]) }
        switch status {
        case nil: return [ListedRange(shard, part.range(.job)) { .records($0) }]
        case .running: return [ListedRange(shard, part.range(.lease)) { .leases($0) }]
        case .scheduled: return [dates, steady]
        case .waiting:
            return [
                ListedRange(shard, part.range(.ready)) { .ready($0) }, dates, steady,
                ListedRange(shard, part.range(.waiting)) { .lines($0) },
            ]
        case .succeeded?, .failed?, .cancelled?: return [finished(shard, part)]
        }
    }

    private func finished(_ shard: Int, _ part: Part) -> ListedRange {
        let statuses: Set<ShownStatus> = status.map { [$0] } ?? []
        switch part {
        case .slice where status == .failed:
            let range = part.range(.failed)
            return ListedRange(shard, range, prefixCount: range.start.count, failuresOf: Slice(of: range.start)) {
                .failures($0)
            }
        case .slice: return ListedRange(shard, part.range(.finished)) { .finished($0, statuses) }
        case .tenant(let tenant):
            let range = TenantKeys(tenant).finished(UInt8(clamping: status?.stored?.rawValue ?? 0))
            return ListedRange(shard, range, prefixCount: range.start.count) { .finished($0, statuses) }
        }
    }
}
