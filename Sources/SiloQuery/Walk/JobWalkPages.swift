import SiloCore
import SiloStore

/// Reads the jobs of a walk, page by page, in the order of their keys, and stops after as many as are wanted.
///
/// `@unchecked Sendable`: one task at a time reads, and nobody asks for the rest meanwhile.
final class JobWalkPages: PageSource, @unchecked Sendable {
    /// A range of rows that jobs are found by, in their order.
    private enum Span {
        case records((start: Bytes, end: Bytes))
        case points(Tenant, ArraySlice<JobID>)
        case metadata((start: Bytes, end: Bytes), of: Tenant)
    }
    private let walk: JobWalk
    private let way: JobScan.Way
    private let tenants: [Tenant]?
    private let shard: ScannedShard
    /// Parts of the shard whose spans are not known yet.
    private var parts: ArraySlice<Part>?
    /// Of the part in hand.
    private var spans: ArraySlice<Span> = []
    /// Spans that held nothing: they take their time as well.
    private var emptySpans = 0
    private var size = PageSize(wanted: 256)
    /// Behind the last job that was looked at.
    private var position: Bytes

    /// Jobs that were looked at so far.
    private(set) var rows = 0
    /// The key to go on from, where it stopped early.
    private(set) var stoppedAt: Bytes?

    init(_ walk: JobWalk, _ scan: JobScan, _ shard: ScannedShard) {
        self.walk = walk
        self.shard = shard
        way = scan.way
        tenants = walk.scope(scan.tenants)
        position = walk.from
    }

    func next() async throws(StoreError) -> [JobRow]? {
        while let span = try await nextSpan() {
            guard rows + emptySpans < walk.rowsMax else {
                stoppedAt = position
                return nil
            }
            let before = rows
            let (page, rest) = try await page(of: span)
            if let rest {
                spans = [rest] + spans
            } else if rows == before {
                emptySpans += 1
                position = end(of: span)
            }
            size.note(bytes: page.reduce(0) { $0 + $1.bytes })
            if !page.isEmpty { return page }
        }
        return nil
    }

    private var reader: CountedReader { shard.reader }
    private var pageRows: Int { min(size.rows, walk.rowsMax - rows) }

    private func page(of span: Span) async throws(StoreError) -> (page: [JobRow], rest: Span?) {
        switch span {
        case .records(let range):
            let page = try await records(range)
            return (page.jobs, page.next.map { .records(($0, range.end)) })
        case .metadata(let range, let tenant):
            let page = try await metadata(range)
            return (page.jobs, page.next.map { .metadata(($0, range.end), of: tenant) })
        case .points(let tenant, let ids):
            let some = ids.prefix(pageRows)
            var jobs: [JobRow] = []
            for id in some {
                if let job = try await job(TenantKeys(tenant).job(id)) { jobs.append(job) }
                lookedAt(TenantKeys(tenant).job(id))
            }
            let rest = ids.dropFirst(some.count)
            return (jobs, rest.isEmpty ? nil : .points(tenant, rest))
        }
    }

    private func lookedAt(_ key: Bytes, count: Int = 1) {
        rows += count
        position = key + [0]
    }

    // MARK: What is to be read

    /// Nil: there are no more.
    private func nextSpan() async throws(StoreError) -> Span? {
        if case .nothing = way { return nil }
        var left = if let parts { parts } else { try await Part.all(of: shard, tenants)[...] }
        defer { parts = left }
        while spans.isEmpty {
            guard let part = left.popFirst() else { return nil }
            reader.held.clear()
            spans = try await spans(of: part)[...]
        }
        return spans.popFirst()
    }

    private func spans(of part: Part) async throws(StoreError) -> [Span] {
        let range = clipped(part.range(.job))
        guard range.start.lexicographicallyPrecedes(range.end) else { return [] }
        var all: [Span] = []
        switch way {
        case .ids(let ids):
            let ids = ids.map { JobID($0) }.sorted()
            for tenant in try await part.tenants(reader) {
                let left = ids.filter { isWithin(TenantKeys(tenant).job($0)) }
                if !left.isEmpty { all.append(.points(tenant, left[...])) }
            }
        case .metadata(let key, let value, isPrefix: false):
            for tenant in try await part.tenants(reader) {
                if let range = metadata(key, value, of: tenant) { all.append(.metadata(range, of: tenant)) }
            }
        default: all.append(.records(range))
        }
        return all
    }

    /// The first job's key behind a span.
    private func end(of span: Span) -> Bytes {
        switch span {
        case .records(let range): range.end
        case .metadata(_, let tenant): clipped(TenantKeys(tenant).jobs).end
        case .points: position
        }
    }

    private func isWithin(_ key: Bytes) -> Bool {
        !key.lexicographicallyPrecedes(walk.from) && key.lexicographicallyPrecedes(walk.to)
    }

    private func clipped(_ range: (start: Bytes, end: Bytes)) -> (start: Bytes, end: Bytes) {
        (
            range.start.lexicographicallyPrecedes(walk.from) ? walk.from : range.start,
            walk.to.lexicographicallyPrecedes(range.end) ? walk.to : range.end
        )
    }

    /// The rows of the metadata index from the walk's place on: those of one value are in the order of the jobs.
    private func metadata(_ key: String, _ value: String, of tenant: Tenant) -> (start: Bytes, end: Bytes)? {
        let keys = TenantKeys(tenant)
        let range = clipped(keys.jobs)
        guard range.start.lexicographicallyPrecedes(range.end) else { return nil }
        let all = keys.metadata(key, value: value, isPrefix: false)
        var place = KeyReader(range.start)
        guard place.tenant() != nil, let id = place.text() else { return all }
        // The place is a job's key, or the first key behind one.
        let own = keys.metadata(key, value, JobID(id.string(in: range.start)))
        return (place.position < range.start.count ? own + [0] : own, all.end)
    }

    // MARK: Reading

    private typealias Page = (jobs: [JobRow], next: Bytes?)

    /// Jobs, with the statuses and leases of the same stretch of keys.
    private func records(_ range: (start: Bytes, end: Bytes)) async throws(StoreError) -> Page {
        let found = try await reader.scan(range, limit: pageRows)
        guard let first = found.rows.first?.key, let last = found.rows.last?.key else { return ([], nil) }
        let statuses = try await beside(.status, first, last)
        let leases = try await beside(.lease, first, last)
        let jobs = found.rows.compactMap { row -> JobRow? in
            guard var job = JobRow(walked: row.key) else { return nil }
            job.job = row.value
            job.jobRange = 0..<row.value.count
            job.statusRecord = statuses[row.key[KeyReader.headBytes...]]
            job.lease = leases[row.key[KeyReader.headBytes...]]
            return job
        }
        lookedAt(last, count: found.rows.count)
        return (jobs, found.hasMore ? last + [0] : nil)
    }

    /// Rows of another family of the same jobs, by what their keys have in common.
    private func beside(_ family: Family, _ first: Bytes, _ last: Bytes) async throws(StoreError) -> [ArraySlice<UInt8>: Bytes] {
        func moved(_ key: Bytes) -> Bytes {
            var key = key
            key[KeyReader.headBytes - 1] = family.rawValue
            return key
        }
        var values: [ArraySlice<UInt8>: Bytes] = [:]
        try await reader.each((moved(first), moved(last) + [0])) { values[$0.key[KeyReader.headBytes...]] = $0.value }
        return values
    }

    private func metadata(_ range: (start: Bytes, end: Bytes)) async throws(StoreError) -> Page {
        let found = try await reader.scan(range, limit: pageRows)
        var jobs: [JobRow] = []
        for row in found.rows {
            var parts = KeyReader(row.key)
            guard let tenant = parts.tenant(), parts.text() != nil, parts.text() != nil, let id = parts.text() else { continue }
            let key = TenantKeys(Tenant(tenant.string(in: row.key))).job(JobID(id.string(in: row.key)))
            if let job = try await job(key) { jobs.append(job) }
            lookedAt(key)
        }
        guard let last = found.rows.last?.key, found.hasMore else { return (jobs, nil) }
        return (jobs, last + [0])
    }

    private func job(_ key: Bytes) async throws(StoreError) -> JobRow? {
        guard let value = try await reader.get(key), var job = JobRow(walked: key) else { return nil }
        job.job = value
        job.jobRange = 0..<value.count
        let (keys, id) = (job.keys, job.jobID)
        job.statusRecord = try await reader.get(keys.status(id))
        job.lease = try await reader.get(keys.lease(id))
        return job
    }
}

extension JobRow {
    /// Of a job's own key.
    fileprivate init?(walked key: Bytes) {
        var parts = KeyReader(key)
        guard let tenant = parts.tenant(), let id = parts.text() else { return nil }
        self.init(key: key, tenant: tenant, id: id, shard: 0)
    }
}
