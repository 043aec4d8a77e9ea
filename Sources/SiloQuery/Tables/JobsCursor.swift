import Protobuf
import SiloCore
import SiloStore

/// A scan of `jobs`.
final class JobsCursor: TableCursor {
    private let run: StatementRun
    private var pump: RowPump<JobRow>?
    private var page: [JobRow] = []
    private var index = 0
    /// Of the job in hand, when they were looked at.
    private var fields: JobFields?
    private var view: JobStatusView?
    private var payload = PayloadText()
    /// Whether the payload of the job in hand has a text; nil: it is not written. A statement may name it more than once.
    private var isText: Bool?
    private let shardIDs: [String]
    private let moments: [Moment]

    init(_ run: StatementRun) {
        self.run = run
        shardIDs = run.shards.map(\.id.description)
        moments = run.shards.map(\.moment)
    }

    override func filter(_ plan: ScanPlan, _ arguments: ScanArguments) throws(QueryError) {
        let scan = JobScan(plan, arguments)
        page = []
        index = 0
        pump = nil
        fields = nil
        view = nil
        isText = nil
        if !scan.ids.isAll, case .everything = scan.way { run.explained?.append(scan.ids.description) }
        guard !run.explains("jobs", "\(scan.description)", plan, arguments) else { return }
        if let walk = run.query.walk {
            pump = try self.walk(walk, scan)
            return try turnPage()
        }
        let scans = run.scans { scan.pages(of: $0) }
        let readsAhead = arguments.rowsWanted == nil
        pump = if scan.isNewestFirst {
            RowPump(scans, run, readsAhead: readsAhead) { JobRow.isNewer($0, $1) }
        } else {
            RowPump(scans, run, readsAhead: readsAhead)
        }
        try turnPage()
    }

    override func next() throws(QueryError) {
        index += 1
        fields = nil
        view = nil
        isText = nil
        if index >= page.count { try turnPage() }
    }

    private func turnPage() throws(QueryError) {
        index = 0
        page = try pump?.next() ?? []
        run.walker?.turned(toPageOf: page.count)
    }

    /// The row that it stands at, and which of its page that is.
    var current: (row: JobRow, index: Int)? { index < page.count ? (page[index], index) : nil }

    private func walk(_ walk: JobWalk, _ scan: JobScan) throws(QueryError) -> RowPump<JobRow> {
        guard run.walker == nil, let shard = run.shards.first?.scanned() else {
            throw .execution("a walk goes over a shard once")
        }
        let pages = JobWalkPages(walk, scan, shard)
        run.walker = Walker(pages, self)
        return RowPump([ShardScan(id: shard.id, pages: pages)], run, readsAhead: false)
    }

    override var isAtEnd: Bool { index >= page.count }

    override func column(_ number: Int, _ result: CellResult) throws(QueryError) {
        guard index < page.count, let name = JobsTable.Name(rawValue: number) else { return result.null() }
        switch name {
        case .shard: result.text(shardIDs[page[index].shard])
        case .tenant: result.text(page[index].tenant, in: page[index].key)
        case .id: result.text(page[index].id, in: page[index].key)
        case .status:
            if let status = page[index].status { return result.text(status.name) }
            result.text(try status().status.name)
        case .changedAt:
            if let changed = page[index].changedAt { return result.integer(changed) }
            result.integer(try status().changedAt)
        case .attempt:
            result.integer(try status().attempt.map { Int64($0) })
        case .nextStart: result.integer(try status().nextStart)
        case .group: try group(result)
        case .priority: result.integer(try recordFields().priority)
        case .enqueueTime: result.integer(try recordFields().enqueueTime)
        case .payload:
            let range = try recordFields().payload
            // Its text is no shorter.
            guard range.count <= run.limits.valueBytesMax else {
                throw .execution("a value has more than \(run.limits.valueBytesMax) bytes")
            }
            let isText = isText ?? page[index].withRecord { payload.write(UnsafeRawBufferPointer($0), in: range) }
            self.isText = isText
            if isText { payload.text.withUnsafeBytes { result.text($0) } } else { result.null() }
        case .metadata, .metadataIndex:
            let fields = try recordFields()
            result.blob(page[index].withRecord { TextPairs.blob($0, fields.metadata($0)) })
        case .limits: result.text(LimitText.json(try decoded().limits))
        case .errorCode:
            if let code = try errorCode() { result.text(code) } else { result.null() }
        }
    }

    // MARK: What the records say

    private func recordFields() throws(QueryError) -> JobFields {
        if let fields { return fields }
        guard let found = page[index].recordFields() else { throw unreadable() }
        fields = found
        return found
    }

    private func decoded() throws(QueryError) -> StorageV1.Job {
        let row = page[index]
        guard let job = row.job, let record = try? StorageV1.Job(serializedBytes: Bytes(job[row.jobRange])) else {
            throw unreadable()
        }
        return record
    }

    private func status() throws(QueryError) -> JobStatusView {
        if let view { return view }
        let moment = moments[page[index].shard]
        guard let found = page[index].statusView(at: moment, { try? recordFields() }) else { throw unreadable() }
        view = found
        return found
    }

    /// Nil: it has not failed.
    private func errorCode() throws(QueryError) -> String? {
        let shown = if let known = page[index].status { known } else { try status().status }
        guard shown == .failed, let bytes = page[index].statusRecord else { return nil }
        guard let record = try? StorageV1.Status(serializedBytes: bytes) else { throw unreadable() }
        return record.lastAttempt?.errorCode ?? ""
    }

    private func group(_ result: CellResult) throws(QueryError) {
        if let group = page[index].group {
            result.text(group, in: page[index].key)
        } else if page[index].withStoredGroup({ try? recordFields() }, { result.text($0) }) == nil {
            throw unreadable()
        }
    }

    private func unreadable() -> QueryError {
        run.walker?.cannotRead()
        return .store(page[index].unreadable, of: run.shards[page[index].shard].id)
    }
}

extension CellResult {
    func text(_ text: KeyText, in key: Bytes) {
        guard !text.isEscaped else { return self.text(text.string(in: key)) }
        key.withUnsafeBytes { self.text(UnsafeRawBufferPointer(rebasing: $0[text.start..<text.end])) }
    }
}
