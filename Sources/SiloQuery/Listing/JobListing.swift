import Protobuf
package import SiloCore
package import SiloStore

/// Lists jobs, from one view of each shard, as far as its budget goes. It looks at least at one range or one job, so that whoever
/// goes on from page to page gets to the end.
package struct JobListing: Sendable {
    /// What a page may cost.
    package struct Budget: Sendable {
        package var milliseconds: Int64 = 60
        package var jobs = 20_000
        package init() {}
    }
    private let filter: JobFilter
    private let shards: [ScannedShard]
    private let failureBounds: [FailureBounds?]
    private let jobsMax: Int
    private let hasDetails: Bool
    private let budget: Budget
    private let clock: any Clock
    private let deadline: Timestamp

    /// - Parameters:
    ///   - jobsMax: of the page, at least 1.
    ///   - hasDetails: false: of each job the shard, the tenant and the id alone are wanted.
    package init(
        _ filter: JobFilter, of shards: [ListedShard], jobsMax: Int, hasDetails: Bool, budget: Budget = Budget(),
        clock: any Clock
    ) {
        self.filter = filter
        self.shards = ListedShard.scanned(shards, clock)
        failureBounds = shards.map(\.failureBounds)
        self.jobsMax = jobsMax
        self.hasDetails = hasDetails
        self.budget = budget
        self.clock = clock
        deadline = clock.steady + budget.milliseconds
    }

    /// The page behind a cursor; nil: the cursor is not of such a list.
    package func page(after cursor: ListCursor?) async throws(StoreError) -> JobListPage? {
        var draft = Draft(jobsMax: jobsMax)
        let isDone = filter.isByTime ? try await merge(after: cursor, &draft) : try await walk(after: cursor, &draft)
        guard let isDone else { return nil }
        var page = draft.page
        page.isNewestFirst = filter.isByTime
        page.next = isDone ? nil : draft.full ?? draft.position
        return page
    }

    /// A page on its way.
    private struct Draft {
        let jobsMax: Int
        var page = JobListPage()
        var position: ListCursor?
        /// Behind the last job that has room.
        var full: ListCursor?
        /// One was found that has none.
        var hasMore = false

        mutating func lookedAt(_ row: JobRow, of shard: ShardID) {
            page.lookedAt += 1
            position = ListCursor(shard: shard, key: row.key)
        }

        mutating func add(_ found: FoundJob) {
            guard page.jobs.count + page.unreadable.count < jobsMax else {
                hasMore = hasMore || found.isThere
                return
            }
            switch found {
            case .nothing: return
            case .job(let job): page.jobs.append(job)
            case .unreadable(let job): page.unreadable.append(job)
            }
            if page.jobs.count + page.unreadable.count == jobsMax { full = position }
        }
    }

    private func isSpent(_ draft: Draft) -> Bool { draft.page.lookedAt >= budget.jobs || clock.steady >= deadline }

    private func rows(_ range: ListedRange, wanted: Int) -> ListedRows {
        // The status beside a record is read in one stretch; of indexes each row is looked at by itself.
        ListedRows(range, needs: filter.status == nil ? [.status] : [], wanted: wanted, shards)
    }

    // MARK: In the order of storage

    /// - Returns: whether it came to the end.
    private func walk(after cursor: ListCursor?, _ draft: inout Draft) async throws(StoreError) -> Bool? {
        let first = cursor.map { cursor in shards.firstIndex { $0.id == cursor.shard } } ?? 0
        guard let first else { return nil }
        for number in first..<max(first, shards.count) {
            for range in try await filter.ranges(of: shards[number]) {
                let start = number == first ? cursor.map { $0.key + [0] } ?? [] : []
                guard let range = range.from(start) else { continue }
                let rows = rows(range, wanted: jobsMax)
                while let row = try await rows.next() {
                    draft.lookedAt(row, of: shards[number].id)
                    draft.add(try await job(row, in: number))
                    if draft.hasMore || isSpent(draft) { return false }
                }
                draft.position = ListCursor(shard: shards[number].id, key: range.end)
                if isSpent(draft) { return false }
            }
        }
        return true
    }

    // MARK: Newest first

    /// Takes the newest of all ranges again and again.
    /// - Returns: whether it came to the end.
    private func merge(after cursor: ListCursor?, _ draft: inout Draft) async throws(StoreError) -> Bool? {
        var ranges: [ListedRange] = []
        for shard in shards { ranges += try await filter.ranges(of: shard) }
        guard let starts = starts(of: ranges, after: cursor) else { return nil }
        let wanted = max(2, min(64, 2 * jobsMax / max(1, ranges.count)))
        var unread = UnreadRanges(starts.map { order, range in
            .init(order: order, range: range, rows: rows(range, wanted: wanted), newest: newest(in: range))
        })
        var heads = MergedHeads()
        while true {
            // Whatever may have something newer than all that is known.
            while let next = unread.take(newerThan: heads.newest) {
                if draft.page.lookedAt > 0, isSpent(draft) { return false }
                for (begun, row) in try await begin(next) {
                    note(row, begun.range, of: ranges[begun.order])
                    if let row { heads.insert(row, begun.rows, begun.order) }
                }
            }
            guard let (row, rows, order) = heads.take() else { return true }
            if let changed = row.changedAt, changed < filter.changed.lowerBound { return true }
            draft.lookedAt(row, of: shards[rows.range.shard].id)
            draft.add(try await job(row, in: rows.range.shard))
            if draft.hasMore || isSpent(draft) { return false }
            if let next = try await rows.next() { heads.insert(next, rows, order) }
        }
    }

    /// No row of the range is newer; the greatest number: that is not known.
    private func newest(in range: ListedRange) -> Int64 {
        range.failuresOf.flatMap { failureBounds[range.shard]?.bound(of: $0) } ?? .max
    }

    /// Tells others which is the first failure of a slice.
    /// - Parameter whole: the range of all of them.
    private func note(_ row: JobRow?, _ read: ListedRange, of whole: ListedRange) {
        guard let slice = read.failuresOf, read.start == whole.start else { return }
        failureBounds[read.shard]?.saw(slice, row?.changedAt)
    }

    /// Reads the first rows of ranges, some side by side.
    private func begin(_ ranges: [UnreadRanges.Entry]) async throws(StoreError) -> [(UnreadRanges.Entry, JobRow?)] {
        guard ranges.count > 1 else {
            var begun: [(UnreadRanges.Entry, JobRow?)] = []
            for range in ranges { begun.append((range, try await range.rows.next())) }
            return begun
        }
        let results = await withTaskGroup(of: [Result<(UnreadRanges.Entry, JobRow?), StoreError>].self) { group in
            let laneCount = min(Self.lanes, ranges.count)
            for lane in 0..<laneCount {
                let part = stride(from: lane, to: ranges.count, by: laneCount).map { ranges[$0] }
                group.addTask {
                    var results: [Result<(UnreadRanges.Entry, JobRow?), StoreError>] = []
                    for range in part { results.append(await Self.first(of: range)) }
                    return results
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        return try results.map { result throws(StoreError) in try result.get() }
    }

    private static let lanes = 4

    private static func first(of range: UnreadRanges.Entry) async -> Result<(UnreadRanges.Entry, JobRow?), StoreError> {
        do throws(StoreError) { return .success((range, try await range.rows.next())) } catch { return .failure(error) }
    }

    /// Of rows that ended at one moment and are called alike those of an earlier range come first.
    private func starts(of ranges: [ListedRange], after cursor: ListCursor?) -> [(Int, ListedRange)]? {
        var latest: Bytes = []
        if filter.changed.upperBound < .max {
            let newest = ~Timestamp(filter.changed.upperBound &- 1).sortable
            latest = (0..<8).map { UInt8(truncatingIfNeeded: newest >> (56 - 8 * UInt64($0))) }
        }
        var place: (order: Int, suffix: Bytes)?
        if let cursor {
            let found = ranges.firstIndex { shards[$0.shard].id == cursor.shard && $0.contains(cursor.key) }
            guard let found else { return nil }
            place = (found, Bytes(ranges[found].suffix(cursor.key)))
        }
        return ranges.enumerated().compactMap { order, range in
            let prefix = Bytes(range.start.prefix(range.prefixCount))
            var first = prefix + latest
            if let place {
                let behind = prefix + place.suffix + (order <= place.order ? [0] : [])
                if first.lexicographicallyPrecedes(behind) { first = behind }
            }
            return range.from(first).map { (order, $0) }
        }
    }

    // MARK: One job

    private enum FoundJob {
        /// It is not meant, or has gone.
        case nothing
        case job(ListedJob)
        /// Whether it is meant nobody can say.
        case unreadable(ListedJob)

        var isThere: Bool { if case .nothing = self { false } else { true } }
    }

    private func job(_ row: JobRow, in number: Int) async throws(StoreError) -> FoundJob {
        if let changed = row.changedAt, !filter.changed.contains(changed) { return .nothing }
        let shard = shards[number]
        var listed = ListedJob(shard: shard.id, tenant: Tenant(row.tenant.string(in: row.key)), id: row.jobID)
        let isByIndexAlone = row.status != nil && !filter.needsRecord && filter.errorCode == nil && row.changedAt != nil
        if !hasDetails, isByIndexAlone { return .job(listed) }
        let reader = shard.reader
        let keys = TenantKeys(listed.tenant)
        var row = row
        row.takeCopy()
        guard let bytes = try await bytes(of: row, keys, listed.id, reader) else { return .nothing }
        guard let record = try? StorageV1.Job(serializedBytes: bytes) else {
            return filter.tellsUnreadable ? .unreadable(listed) : .nothing
        }
        guard filter.takes(record) else { return .nothing }
        let named = listed
        listed.group = record.taskGroup
        listed.priority = record.priority
        listed.enqueuedAt = record.createdAtMs
        if row.lease == nil, row.task == nil, row.statusRecord == nil {
            row.statusRecord = try await reader.get(keys.status(listed.id))
            if row.status == nil { row.lease = try await reader.get(keys.lease(listed.id)) }
        }
        guard let isMeant = listed.setStatus(row, record, filter, at: shard.moment) else { return .unreadable(named) }
        return isMeant ? .job(listed) : .nothing
    }

    /// Of the stored job; nil: it has gone.
    private func bytes(
        of row: JobRow, _ keys: TenantKeys, _ id: JobID, _ reader: CountedReader
    ) async throws(StoreError) -> Bytes? {
        if let job = row.job { return Bytes(job[row.jobRange]) }
        return try await reader.get(keys.job(id))
    }
}

extension ListedJob {
    /// - Returns: whether the filter takes it; nil: what tells it cannot be read.
    fileprivate mutating func setStatus(
        _ row: JobRow, _ job: StorageV1.Job, _ filter: JobFilter, at moment: Moment
    ) -> Bool? {
        if let bytes = row.lease {
            guard let lease = try? StorageV1.Lease(serializedBytes: bytes) else { return nil }
            (changedAt, attempt) = (lease.startedAtMs, lease.attempt)
            return matches(.running, filter)
        }
        if let bytes = row.task {
            guard let task = try? StorageV1.Task(serializedBytes: bytes) else { return nil }
            (changedAt, attempt) = (task.scheduledAtMs, task.attempt)
            nextStart = row.nextStart ?? task.startMs
            return matches(row.status ?? .waiting, filter)
        }
        guard let bytes = row.statusRecord else {
            (changedAt, attempt, nextStart) = (job.createdAtMs, 1, job.startMs)
            return matches(job.startMs > moment.wall.milliseconds ? .scheduled : .waiting, filter)
        }
        guard let status = try? StorageV1.Status(serializedBytes: bytes) else { return nil }
        (changedAt, attempt) = (status.changedAtMs, status.attempt)
        errorCode = status.lastAttempt?.errorCode ?? ""
        let shown = JobStatusView(lease: nil, record: bytes, created: job.createdAtMs, start: job.startMs, at: moment)
        nextStart = shown?.nextStart
        return matches(shown?.status ?? .waiting, filter)
    }

    private mutating func matches(_ shown: ShownStatus, _ filter: JobFilter) -> Bool {
        status = "\(shown.name)"
        if shown != .failed { errorCode = "" }
        if let wanted = filter.status, wanted != shown { return false }
        if let code = filter.errorCode, shown != .failed || !errorCode.hasSameBytes(as: code) { return false }
        return filter.changed.contains(changedAt)
    }
}

/// Ranges that were not read yet, with what is known of them.
private struct UnreadRanges {
    struct Entry: Sendable {
        let order: Int
        let range: ListedRange
        let rows: ListedRows
        /// It has nothing newer; the greatest number: that is not known.
        let newest: Int64
    }
    /// The newest last.
    private var entries: [Entry]
    /// That are read at once: few where what each has is known, for the first of them may have all that is wanted.
    private static let knownMax = 8
    private static let unknownMax = 64

    init(_ entries: [Entry]) { self.entries = entries.sorted { ($0.newest, $1.order) < ($1.newest, $0.order) } }

    /// The next that may have something as new as that, or newer; nil: there is none.
    /// - Parameter newest: nil: whatever they have.
    mutating func take(newerThan newest: Int64?) -> [Entry]? {
        guard let last = entries.last, last.newest >= newest ?? .min else { return nil }
        let countMax = last.newest == .max ? Self.unknownMax : Self.knownMax
        let least = last.newest == .max ? .max : newest ?? .min
        let next = Array(entries.suffix(countMax).drop { $0.newest < least })
        entries.removeLast(next.count)
        return next
    }
}

/// The next row of each range, in order.
private struct MergedHeads {
    private var heads: [(suffix: ArraySlice<UInt8>, order: Int, row: JobRow, rows: ListedRows)] = []

    mutating func insert(_ row: JobRow, _ rows: ListedRows, _ order: Int) {
        let suffix = rows.range.suffix(row.key)
        var (low, high) = (0, heads.count)
        // The first one stands last, where it is taken from.
        while low < high {
            let middle = (low + high) / 2
            let isBefore = Self.precedes((suffix, order), (heads[middle].suffix, heads[middle].order))
            if isBefore { low = middle + 1 } else { high = middle }
        }
        heads.insert((suffix, order, row, rows), at: low)
    }

    /// When the first of them ended; nil: there is none.
    var newest: Int64? { heads.last?.row.changedAt }

    mutating func take() -> (JobRow, ListedRows, Int)? { heads.popLast().map { ($0.row, $0.rows, $0.order) } }

    private static func precedes(_ left: (ArraySlice<UInt8>, Int), _ right: (ArraySlice<UInt8>, Int)) -> Bool {
        if left.0.lexicographicallyPrecedes(right.0) { return true }
        if right.0.lexicographicallyPrecedes(left.0) { return false }
        return left.1 < right.1
    }
}
