package import SiloCore
package import SiloStore

/// A shard as a statement sees it: one unchanging view, in which everything is durable.
package struct QueriedShard: Sendable {
    package struct View: Sendable {
        let reader: any StoreReader
        /// When the view was taken, by the shard's clocks.
        let moment: Moment

        package init(_ reader: any StoreReader, _ moment: Moment) {
            self.reader = reader
            self.moment = moment
        }
    }
    package let id: ShardID
    package let range: ShardRange
    /// Takes the view, when the statement begins.
    let open: @Sendable () async throws(SiloError) -> View
    /// What a statement has read of it.
    package let counts: ReadCounts

    /// - Parameter onRead: is told how many rows were read in ranges, and how many looked up one by one, each time.
    package init(
        id: ShardID, range: ShardRange, onRead: @escaping @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void = { _, _ in },
        open: @escaping @Sendable () async throws(SiloError) -> View
    ) {
        self.id = id
        self.range = range
        counts = ReadCounts(onRead: onRead)
        self.open = open
    }

    package init(id: ShardID, range: ShardRange, reader: any StoreReader, moment: Moment) {
        self.init(id: id, range: range) { View(reader, moment) }
    }
}

/// A statement and what it is asked of.
package struct Query: Sendable {
    package let sql: String
    package let parameters: [Parameter]
    /// Whose rows it sees, in every table; nil: everybody's.
    package let tenants: [Tenant]?
    package let shards: [QueriedShard]
    /// When "now" is: one moment for the whole statement.
    package let now: Timestamp
    /// Whether shards that do not answer are left out. Otherwise the statement fails.
    package let allowsPartial: Bool
    /// It ends after so many rows, though there may be more.
    package let rowsMax: Int
    /// It asks for a part of a walk: see `walked`.
    var walk: JobWalk?

    package init(
        _ sql: String, _ parameters: [Parameter] = [], tenants: [Tenant]? = nil, of shards: [QueriedShard], now: Timestamp,
        allowsPartial: Bool = false, rowsMax: Int = .max
    ) {
        self.sql = sql
        self.parameters = parameters
        self.tenants = tenants
        self.shards = shards
        self.now = now
        self.allowsPartial = allowsPartial
        self.rowsMax = rowsMax
    }

    /// Rows of the store that were read in ranges, and those that were looked up one by one.
    var scanned: Int { shards.reduce(0) { $0 + $1.counts.scanned } }
    var lookedUp: Int { shards.reduce(0) { $0 + $1.counts.lookedUp } }
}

/// What a statement answers.
package struct QueryResult: Sendable {
    package let columns: [Column]
    /// Each a MessagePack map from column names to values.
    package let rows: [[UInt8]]
    /// Rows of the store that were read in ranges, and those that were looked up one by one.
    package let scanned: Int
    package let lookedUp: Int
    /// Shards whose rows are not there, or not all of them, and why.
    package let missing: [(shard: ShardID, why: QueryError)]
    /// There are more rows than were asked for.
    package let isCut: Bool
    /// What the statement hardly meant, for people.
    package let notices: [String]
}

/// What a statement may use.
package struct QueryLimits: Sendable {
    /// Of the statement's text, in bytes of UTF-8.
    package var textBytesMax = 1 << 20
    package var parametersMax = 10_000
    /// Of the rows of the answer; 0: no bound.
    package var resultBytesMax = 64 << 20
    /// Of what SQLite keeps while it works, such as rows to be sorted.
    package var memoryBytesMax: Int64 = 256 << 20
    /// Of rows that were read and that SQLite has not had yet, besides the pages in hand.
    package var heldBytesMax = 64 << 20
    /// Of one value, in bytes.
    package var valueBytesMax: Int32 = 32 << 20
    /// Of an Arrow batch: it ends when it has so many rows or bytes, and no row may take it past the second bound.
    package var batchRowsMax = 8192
    package var batchBytesGoal = 1 << 20
    package var batchBytesMax = 64 << 20

    package init() {}
}

extension Query {
    /// Runs the statement on a thread of its own.
    package func run(_ limits: QueryLimits = QueryLimits(), _ control: StatementControl) async throws(QueryError) -> QueryResult {
        try await onThread(limits) { () throws(QueryError) in
            let run = StatementRun(self, limits, control)
            let rows = CollectedRows(bytesMax: limits.resultBytesMax)
            try run.run(into: rows)
            return QueryResult(
                columns: rows.columns, rows: rows.rows, scanned: scanned, lookedUp: lookedUp, missing: run.missingShards,
                isCut: run.isCut, notices: run.notices)
        }
    }

    func onThread<Result: Sendable>(
        _ limits: QueryLimits, _ body: @escaping @Sendable () throws(QueryError) -> Result
    ) async throws(QueryError) -> Result {
        guard sql.utf8.count <= limits.textBytesMax else {
            throw .syntax("the statement has \(sql.utf8.count) bytes, more than \(limits.textBytesMax)")
        }
        guard parameters.count <= limits.parametersMax else {
            throw .parameter("there are \(parameters.count) parameters, more than \(limits.parametersMax)")
        }
        let result: Swift.Result<Result, QueryError> = await withCheckedContinuation { continuation in
            let isStarted = StatementThread.start { continuation.resume(returning: .init(catching: body)) }
            if !isStarted { continuation.resume(returning: .failure(.execution("there is no thread for it"))) }
        }
        return try result.get()
    }
}
