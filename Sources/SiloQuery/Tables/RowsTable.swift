import SiloCore
import SiloStore

/// The value of one cell.
enum Cell: Sendable {
    case null
    case integer(Int64)
    case text(String)
    /// A MessagePack document, whose text is made when it is asked for: NULL where JSON has no words for it.
    case json(Bytes)

    init(_ number: Int64?) { self = number.map { .integer($0) } ?? .null }
    init(_ number: UInt64) { self = .integer(Int64(clamping: number)) }
    init(_ number: UInt32) { self = .integer(Int64(number)) }

    /// Of memory, about.
    fileprivate var bytes: Int {
        switch self {
        case .null, .integer: MemoryLayout<Cell>.size
        case .text(let text): MemoryLayout<Cell>.size + text.utf8.count
        case .json(let bytes): MemoryLayout<Cell>.size + bytes.count
        }
    }
}

extension [Cell] {
    fileprivate var bytes: Int { reduce(0) { $0 + $1.bytes } }
}

/// A scan of a table whose rows are few or made of much, so that they are made whole.
///
/// `@unchecked Sendable`: one task at a time reads.
class RowScan: PageSource, @unchecked Sendable {
    private let shard: ScannedShard
    /// Nil: everybody's.
    private let tenants: [Tenant]?
    private var parts: ArraySlice<Part>?

    init(_ shard: ScannedShard, tenants: [Tenant]?) {
        self.shard = shard
        self.tenants = tenants
    }

    final func next() async throws(StoreError) -> [[Cell]]? {
        var left = if let parts { parts } else { try await Part.all(of: shard, tenants)[...] }
        defer { parts = left }
        while true {
            let more = try await moreRows(in: shard, shard.reader)
            if !more.isEmpty { return more }
            guard let part = left.popFirst() else { return nil }
            shard.reader.held.clear()
            let rows = try await rows(of: part, in: shard, shard.reader)
            for row in rows { try shard.reader.held.take(row.bytes) }
            if !rows.isEmpty { return rows }
        }
    }

    /// Begins a part. What it does not give at once comes with `moreRows`.
    func rows(of part: Part, in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] { [] }

    /// Further rows of the part that was begun last; none: it is over, or none was begun.
    func moreRows(in shard: ScannedShard, _ reader: CountedReader) async throws(StoreError) -> [[Cell]] { [] }
}

/// How a table's rows are read.
struct RowsScan {
    /// As plans call it.
    let strategy: String
    let pages: (ScannedShard) -> any PageSource<[Cell]>

    init(_ strategy: String, _ pages: @escaping (ScannedShard) -> any PageSource<[Cell]>) {
        self.strategy = strategy
        self.pages = pages
    }
}

/// A table of such rows.
class RowsTable: VirtualTable {
    /// How rows are read for a scan, and what plans call it.
    func scan(_ plan: ScanPlan, _ arguments: ScanArguments) -> RowsScan {
        RowsScan("") { RowScan($0, tenants: []) }
    }

    final override func cursor() -> TableCursor { RowsCursor(self) }

    /// All rows of a scan, where they are few. A join asks the same again and again, and the view does not change.
    fileprivate struct Kept {
        let plan: ScanPlan
        let values: [Constraint: [SQLiteValue]]
        private(set) var rows: [[Cell]] = []
        private var bytes: Int
        private static let rowsMax = 4096
        private static let bytesMax = 1 << 20

        init(plan: ScanPlan, values: [Constraint: [SQLiteValue]]) {
            self.plan = plan
            self.values = values
            bytes = values.values.joined().reduce(0) { $0 + MemoryLayout<SQLiteValue>.size + $1.bytes }
        }

        func answers(_ plan: ScanPlan, _ values: [Constraint: [SQLiteValue]]) -> Bool {
            guard self.plan === plan, self.values.count == values.count else { return false }
            return values.allSatisfy { constraint, asked in
                self.values[constraint]?.elementsEqual(asked) { $0.isSame(as: $1) } ?? false
            }
        }

        /// False: they are too many to keep, or too large.
        mutating func keep(_ page: [[Cell]]) -> Bool {
            bytes += page.reduce(0) { $0 + $1.bytes }
            guard rows.count + page.count <= Self.rowsMax, bytes <= Self.bytesMax else { return false }
            rows += page
            return true
        }
    }
    fileprivate var kept: Kept?
}

private final class RowsCursor: TableCursor {
    private let table: RowsTable
    private var pump: RowPump<[Cell]>?
    private var page: [[Cell]] = []
    private var index = 0
    /// The rows so far; nil: they are not kept.
    private var seen: RowsTable.Kept?
    private var json = PayloadText()

    init(_ table: RowsTable) { self.table = table }

    override func filter(_ plan: ScanPlan, _ arguments: ScanArguments) throws(QueryError) {
        let run = table.run
        let scan = table.scan(plan, arguments)
        page = []
        index = 0
        pump = nil
        if let kept = table.kept, kept.answers(plan, arguments.values) {
            page = kept.rows
            return
        }
        seen = RowsTable.Kept(plan: plan, values: arguments.values)
        guard !run.explains(table.name == Rollup.table ? "jobs" : table.name, scan.strategy, plan, arguments) else { return }
        pump = RowPump(run.scans(scan.pages), run, readsAhead: false)
        try turnPage()
    }

    override func next() throws(QueryError) {
        index += 1
        if index >= page.count { try turnPage() }
    }

    private func turnPage() throws(QueryError) {
        index = 0
        page = try pump?.next() ?? []
        guard seen != nil, pump != nil else { return }
        if page.isEmpty { table.kept = seen }
        if seen?.keep(page) == false { seen = nil }
    }

    override var isAtEnd: Bool { index >= page.count }

    override func column(_ number: Int, _ result: CellResult) throws(QueryError) {
        guard index < page.count, page[index].indices.contains(number) else { return result.null() }
        switch page[index][number] {
        case .null: result.null()
        case .integer(let value): result.integer(value)
        case .text(let text): result.text(text)
        case .json(let document):
            // Its text is no shorter.
            guard document.count <= table.run.limits.valueBytesMax else {
                throw .execution("a value has more than \(table.run.limits.valueBytesMax) bytes")
            }
            let isText = document.withUnsafeBytes { json.write($0, in: 0..<$0.count) }
            if isText { json.text.withUnsafeBytes { result.text($0) } } else { result.null() }
        }
    }
}
