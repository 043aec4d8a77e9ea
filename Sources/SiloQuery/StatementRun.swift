import CSQLite
import SiloCore

/// One statement on its thread, from its text to its rows. SQLite's callbacks reach it through the connection's tables.
final class StatementRun {
    let query: Query
    let limits: QueryLimits
    let control: StatementControl
    /// What went wrong in a callback; it says more than SQLite's code.
    var failure: QueryError?
    /// The scans that it would do, in the order in which they were begun; nil: it does them.
    var explained: [String]?
    /// A table tells SQLite its columns.
    var isDeclaring = false
    private(set) var compiled: Compiled?
    var notices: [String] { compiled?.notices ?? [] }
    /// There were more rows than were asked for.
    private(set) var isCut = false
    /// Of a walk that has begun.
    var walker: Walker?
    /// Those that could be opened.
    var shards: [OpenShard] = []
    /// The memory of what its scans hold.
    let budget: HeldRows.Budget
    /// Those that did not answer, or not to the end, of a statement that may go on without them.
    var missing: [ShardID: QueryError] = [:]

    init(_ query: Query, _ limits: QueryLimits, _ control: StatementControl) {
        self.query = query
        self.limits = limits
        self.control = control
        budget = HeldRows.Budget(most: limits.heldBytesMax, control)
    }

    /// Gives the rows to `sink`.
    func run(into sink: some RowSink) throws(QueryError) {
        csqlite_limit_thread(limits.memoryBytesMax)
        defer { csqlite_limit_thread(.max) }
        let tables = Tables.all(of: self)
        let named = Dictionary(
            tables.filter { ![Rollup.table, Tally.table].contains($0.name) }.map { ($0.name, $0.columns) },
            uniquingKeysWith: { first, _ in first })
        let compiled = try Compiler.compile(query.sql, query.parameters, tables: named, control: control)
        self.compiled = compiled
        let connection = try Connection(for: self, tables)
        defer { connection.close() }
        let statement = try connection.prepare(compiled.sql)
        defer { statement.close() }
        for (number, value) in compiled.parameters { try statement.bind(number, value) }
        if compiled.isExplain {
            try explain(statement, compiled, into: sink)
        } else {
            try open()
            try sink.begin(compiled.columns)
            try give(statement, to: sink)
        }
        try sink.end()
    }

    private func give(_ statement: PreparedStatement, to sink: some RowSink) throws(QueryError) {
        var left = query.rowsMax
        while try statement.step() {
            guard left > 0 else {
                isCut = true
                return
            }
            left -= 1
            try sink.add(statement)
        }
    }

    /// Runs the statement over tables that note what they are asked, and have no rows. No shard is looked at.
    private func explain(_ statement: PreparedStatement, _ compiled: Compiled, into sink: some RowSink) throws(QueryError) {
        explained = []
        while try statement.step() {}
        try sink.begin([Column("plan_type", .utf8), Column("plan", .utf8)])
        try sink.add(["logical_plan", compiled.sql])
        try sink.add(["physical_plan", (explained ?? []).joined(separator: "\n")])
    }

    /// Why SQLite stopped: what a callback noted, or what must end the statement, before what SQLite says itself.
    func error(_ code: Int32, _ message: String) -> QueryError {
        if let failure { return failure }
        if let end = control.end { return end }
        switch code & 0xff {
        case SQLITE_NOMEM: return .memory(limits.memoryBytesMax)
        case SQLITE_TOOBIG: return .execution("a value has more than \(limits.valueBytesMax) bytes")
        default: return .execution(message)
        }
    }
}

/// A shard whose view was taken.
struct OpenShard {
    let id: ShardID
    let moment: Moment
    /// For one scan.
    let scanned: () -> ScannedShard
}

extension StatementRun {
    /// What a scan asks of each shard.
    func scans<Element>(_ pages: (ScannedShard) -> any PageSource<Element>) -> [ShardScan<Element>] {
        shards.map { $0.scanned() }.map { ShardScan(id: $0.id, pages: pages($0)) }
    }

    /// How long a partial result waits for a shard; nil: as long as the statement may take.
    var patienceMilliseconds: Int64? {
        guard query.allowsPartial, control.timeoutMilliseconds > 0 else { return nil }
        return max(1, control.timeoutMilliseconds / 2)
    }

    /// Goes on without a shard, if the statement may.
    func miss(_ shard: ShardID, _ why: QueryError) throws(QueryError) {
        guard query.allowsPartial else { throw why }
        missing[shard] = missing[shard] ?? why
    }

    var missingShards: [(shard: ShardID, why: QueryError)] {
        query.shards.compactMap { shard in missing[shard.id].map { (shard.id, $0) } }
    }
}
