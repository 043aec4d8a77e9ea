import Glibc
import SiloCore
import SiloStore

/// Reads the jobs of a scan of one shard, page by page.
///
/// `@unchecked Sendable`: one task at a time reads.
final class JobPages: PageSource, @unchecked Sendable {
    private let scan: JobScan
    private let shard: ScannedShard
    private var parts: ArraySlice<Part>?
    private var arms: ArraySlice<JobArm> = []
    /// The arm in hand, and where it goes on.
    private var arm: JobArm?
    private var from: Bytes = []
    private var size: PageSize
    /// Rows that OFFSET passes over yet.
    private var toSkip: Int
    /// Ids that are looked up for one page.
    private static let pointsMax = 256
    /// Of what a page holds, about.
    private static let pageBytes = 1 << 20

    /// - Parameters:
    ///   - parts: of the shard; nil: all that the scan's tenants are in.
    ///   - rowsWanted: of these parts; nil: as many as the scan wants.
    init(_ scan: JobScan, _ shard: ScannedShard, parts: [Part]? = nil, rowsWanted: Int? = nil) {
        self.scan = scan
        self.shard = shard
        self.parts = parts?[...]
        size = PageSize(wanted: rowsWanted ?? scan.rowsWanted)
        // Who reads parts passes over rows of all of them.
        toSkip = parts == nil ? scan.rowsSkipped : 0
    }

    /// One range.
    /// - Parameter wanted: how many rows are read at first.
    init(_ arm: JobArm, needs: JobNeeds, wanted: Int, _ shard: ScannedShard) {
        scan = JobScan(needs: needs, rowsWanted: wanted)
        self.shard = shard
        parts = []
        arms = [arm]
        size = PageSize(wanted: wanted)
        toSkip = 0
    }

    func next() async throws(StoreError) -> [JobRow]? {
        while true {
            guard let arm = try await current() else { return nil }
            let page = try await page(of: arm)
            if !page.isEmpty { return page }
        }
    }

    private var reader: CountedReader { shard.reader }
    private var moment: Moment { shard.moment }

    private func current() async throws(StoreError) -> JobArm? {
        if let arm { return arm }
        if case .nothing = scan.way { return nil }
        var left = if let parts { parts } else { try await Part.all(of: shard, scan.tenants)[...] }
        defer { parts = left }
        while arms.isEmpty {
            guard let part = left.popFirst() else { return nil }
            reader.held.clear()
            arms = try await scan.arms(of: part, at: moment, reader)[...]
        }
        arm = arms.popFirst()
        from = arm?.range?.start ?? []
        return arm
    }

    private func page(of arm: JobArm) async throws(StoreError) -> [JobRow] {
        var page: [JobRow]
        switch arm {
        case .points(let tenant, let ids): page = try await points(tenant, ids)
        case .records: page = try await records(arm)
        case .metadata(_, let range): page = try await rows(range) { JobRow(metadata: $0, shard.number) }
        case .leases(let range): page = try await rows(range) { JobRow(lease: $0, shard.number) }
        case .ready(let range): page = try await rows(range) { JobRow(ready: $0, shard.number) }
        case .lines(let range): page = try await rows(range) { JobRow(lined: $0, shard.number) }
        case .timers(let range, let isSteady, let statuses):
            page = try await rows(range) { JobRow(timer: $0, shard.number, isSteady: isSteady, statuses, at: moment) }
        case .finished(let range, let statuses): page = try await rows(range) { JobRow(finished: $0, shard.number, statuses) }
        case .failures(let range): page = try await rows(range) { JobRow(failed: $0, shard.number) }
        }
        if scan.verifies == nil { passOver(&page) }
        try await complete(&page, arm)
        if let pair = scan.verifies {
            page.removeAll { !$0.has(pair) }
            passOver(&page)
        }
        size.note(bytes: page.indices.reduce(0) { $0 + page[$1].bytes })
        return page
    }

    /// Leaves out the rows that OFFSET passes over.
    private func passOver(_ page: inout [JobRow]) {
        let count = min(toSkip, page.count)
        page.removeFirst(count)
        toSkip -= count
    }

    /// The jobs of some ids; the others come with the pages after it.
    private func points(_ tenant: Tenant, _ ids: ArraySlice<String>) async throws(StoreError) -> [JobRow] {
        var page: [JobRow] = []
        var left = ids
        var bytes = 0
        while bytes <= Self.pageBytes, ids.count - left.count < Self.pointsMax, let id = left.popFirst() {
            guard var job = JobRow(job: TenantKeys(tenant).job(JobID(id)), shard.number) else { continue }
            try await fill(&job)
            bytes += job.bytes
            if job.job != nil || job.lease != nil || job.statusRecord != nil { page.append(job) }
        }
        arm = left.isEmpty ? nil : .points(tenant, left)
        return page
    }

    /// The next rows of a range, as jobs.
    private func rows(
        _ range: (start: Bytes, end: Bytes), _ job: (Row) -> JobRow?
    ) async throws(StoreError) -> [JobRow] {
        let page = try await reader.scan((from, range.end), limit: size.rows)
        advance(page)
        return page.rows.compactMap(job)
    }

    private func advance(_ page: RowPage) {
        if page.hasMore, let last = page.rows.last { from = last.key + [0] } else { arm = nil }
    }

    /// Begins the next page behind a row of this one: what is further was not looked at, for it would be too much at once.
    private func goOn(_ arm: JobArm, after key: Bytes) {
        self.arm = arm
        from = key + [0]
    }

    // MARK: Records

    /// Jobs in order of their keys, with the statuses and leases of the same stretch of keys.
    private func records(_ arm: JobArm) async throws(StoreError) -> [JobRow] {
        guard let range = arm.range else { return [] }
        let first = from
        let page = try await reader.scan((from, range.end), limit: size.rows)
        advance(page)
        guard let last = page.rows.last?.key else { return [] }
        let needsStatus = !scan.needs.isDisjoint(with: [.status, .details])
        var statuses = Beside(needsStatus ? try await beside(.status, first, last) : RowPage([], hasMore: false))
        var leases = Beside(needsStatus ? try await beside(.lease, first, last) : RowPage([], hasMore: false))
        var known = last
        for end in [statuses.end, leases.end] {
            if let end, Beside.compare(end, known) < 0 { known = Self.moved(end, to: .job) }
        }
        if known != last { goOn(arm, after: known) }
        return page.rows.prefix { Beside.compare($0.key, known) <= 0 }.compactMap { row in
            guard var job = JobRow(job: row.key, shard.number) else { return nil }
            job.job = row.value
            job.jobRange = 0..<row.value.count
            job.statusRecord = statuses.value(of: row.key)
            job.lease = leases.value(of: row.key)
            return job
        }
    }

    /// Rows of another family of the same jobs, or the first of them.
    private func beside(_ family: Family, _ first: Bytes, _ last: Bytes) async throws(StoreError) -> RowPage {
        try await reader.scan((Self.moved(first, to: family), Self.moved(last, to: family) + [0]), limit: size.rows)
    }

    private static func moved(_ key: Bytes, to family: Family) -> Bytes {
        var key = key
        if key.count >= KeyReader.headBytes { key[KeyReader.headBytes - 1] = family.rawValue }
        return key
    }

    /// Reads what the columns need and the scan has not brought: some jobs side by side, once it is seen how large they are.
    private func complete(_ page: inout [JobRow], _ arm: JobArm) async throws(StoreError) {
        guard isIncomplete(arm) else { return }
        var (done, bytes) = (0, 0)
        while done < page.count {
            if bytes > Self.pageBytes {
                goOn(arm, after: page[done - 1].key)
                page.removeSubrange(done...)
                return
            }
            let room = done == 0 ? Self.firstJobs : (Self.pageBytes - bytes) * done / max(1, bytes)
            let next = done..<min(page.count, done + max(1, min(room, Self.jobsAtOnce)))
            if next.count > 1 {
                try await completeSideBySide(&page, next, arm)
            } else {
                try await complete(&page[done], arm)
            }
            bytes += next.reduce(0) { $0 + page[$1].bytes }
            done = next.upperBound
        }
    }

    /// Jobs that are read side by side: most of the time of a read is a wait for sorted files.
    private static let jobsAtOnce = 32
    /// The same before it is known how large they are.
    private static let firstJobs = 8

    private func completeSideBySide(
        _ page: inout [JobRow], _ range: Range<Int>, _ arm: JobArm
    ) async throws(StoreError) {
        let results = await withTaskGroup(of: (Int, Result<JobRow, StoreError>).self) { group in
            for index in range {
                let job = page[index]
                group.addTask { (index, await self.completed(job, arm)) }
            }
            var results: [(Int, Result<JobRow, StoreError>)] = []
            for await result in group { results.append(result) }
            return results
        }
        for (index, result) in results { page[index] = try result.get() }
    }

    private func completed(_ job: JobRow, _ arm: JobArm) async -> Result<JobRow, StoreError> {
        var job = job
        do throws(StoreError) { try await complete(&job, arm) } catch { return .failure(error) }
        return .success(job)
    }

    /// Whether the rows of a range leave something to be read.
    private func isIncomplete(_ arm: JobArm) -> Bool {
        switch arm {
        case .points, .records: false
        case .metadata: !scan.needs.isEmpty || scan.verifies != nil
        case .failures: !scan.needs.isDisjoint(with: [.record, .group, .outcome])
        case .lines: !scan.needs.isDisjoint(with: [.record, .group])
        case .finished: !scan.needs.isDisjoint(with: [.record, .outcome])
        case .leases, .ready, .timers: scan.needs.contains(.record)
        }
    }

    private func complete(_ job: inout JobRow, _ arm: JobArm) async throws(StoreError) {
        switch arm {
        case .points, .records: return
        case .metadata: return try await fill(&job)
        case .lines where scan.needs.contains(.group): job.takeCopy()
        case .leases, .ready, .lines, .timers, .finished: break
        case .failures:
            if scan.needs.contains(.group) { try await addRecord(&job) }
        }
        if scan.needs.contains(.outcome), job.status == .failed {
            job.takeCopy()
            job.statusRecord = try await reader.get(job.keys.status(job.jobID))
        }
        guard scan.needs.contains(.record) else { return }
        job.takeCopy()
        try await addRecord(&job)
    }

    /// Reads the records of a job that is known by its id, one after another as long as something is not told yet: that it is
    /// there, which status it has, what else the columns need.
    private func fill(_ job: inout JobRow) async throws(StoreError) {
        let needsStatus = !scan.needs.isDisjoint(with: [.status, .details])
        if !needsStatus || scan.needs.contains(.record) || scan.verifies != nil {
            try await addRecord(&job)
            guard job.job != nil else { return }
        }
        guard needsStatus else { return }
        let (keys, id) = (job.keys, job.jobID)
        job.lease = try await reader.get(keys.lease(id))
        if job.lease != nil { return }
        job.statusRecord = try await reader.get(keys.status(id))
        // Of a job that nothing has happened to, or whose group is asked for.
        if job.statusRecord == nil || scan.needs.contains(.group) { try await addRecord(&job) }
    }

    private func addRecord(_ job: inout JobRow) async throws(StoreError) {
        guard job.job == nil else { return }
        let value = try await reader.get(job.keys.job(job.jobID))
        job.job = value
        job.jobRange = 0..<(value?.count ?? 0)
    }
}

/// Rows in order, of which some belong to the rows of another family.
private struct Beside {
    private let rows: [Row]
    /// Behind this key others may follow; nil: there are no more.
    let end: Bytes?
    private var next = 0

    init(_ page: RowPage) {
        rows = page.rows
        end = page.hasMore ? page.rows.last?.key : nil
    }

    /// The value beside a key; keys are asked for in order.
    mutating func value(of key: Bytes) -> Bytes? {
        while next < rows.count {
            let order = Self.compare(rows[next].key, key)
            if order > 0 { return nil }
            next += 1
            if order == 0 { return rows[next - 1].value }
        }
        return nil
    }

    /// Below, at or above 0, whatever families the keys are of.
    static func compare(_ left: Bytes, _ right: Bytes) -> Int {
        let head = KeyReader.headBytes
        return left.withUnsafeBytes { first in
            right.withUnsafeBytes { second in
                guard first.count > head, second.count > head, let one = first.baseAddress, let other = second.baseAddress
                else { return first.count - second.count }
                let difference = memcmp(one + head, other + head, min(first.count, second.count) - head)
                return difference != 0 ? Int(difference) : first.count - second.count
            }
        }
    }
}

extension JobArm {
    var range: (start: Bytes, end: Bytes)? {
        switch self {
        case .records(let range), .metadata(_, let range), .leases(let range), .ready(let range), .lines(let range),
            .timers(let range, _, _), .finished(let range, _), .failures(let range):
            range
        case .points: nil
        }
    }
}
