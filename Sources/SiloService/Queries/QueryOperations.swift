package import SiloAPI
package import SiloCore
import SiloEngine
import SiloQuery
import SiloTelemetry

/// Questions about jobs, in SQL.
package struct QueryOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let environment: Environment
    let settings: QuerySettings
    let events: any QueryEvents
    let logger: Logger
    private let admission: Admission

    init(
        shards: ShardResolver, tenancy: Tenancy, environment: Environment, settings: QuerySettings, events: any QueryEvents,
        logger: Logger
    ) {
        self.shards = shards
        self.tenancy = tenancy
        self.environment = environment
        self.settings = settings
        self.events = events
        self.logger = logger
        admission = Admission(most: settings.concurrentStatementsMax)
    }

    /// Runs one statement over a shard, or over all of this node when none is named. Of a tenant, or for a caller that is bound
    /// to some, it sees their rows alone, whatever it says. All it shows is durable.
    package func query(
        _ request: SiloV1.QueryRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.QueryResponse>
    ) throws(SiloError) {
        let statement = try admit(request, timeoutMilliseconds: timeout(context), for: context)
        reply.onCancel { statement.control.cancel() }
        // Ends with the statement, which its control ends.
        environment.start { [self] in
            do throws(QueryError) {
                let result = try await statement.query.run(settings.limits, statement.control)
                end(statement, rows: result.rows.count, bytes: result.rows.reduce(0) { $0 + $1.count })
                reply.send(SiloV1.QueryResponse(result))
            } catch {
                end(statement, failure: error)
                reply.send(.failure(SiloError(error, ofMany: request.shard.isEmpty)))
            }
        }
    }

    /// Ends all statements, and takes no more.
    package func close() { admission.close() }

    /// The shorter of what a statement may take and what its caller waits; 0: neither is bounded.
    func timeout(_ context: RequestContext) -> Int64 {
        let own = settings.statementTimeoutMilliseconds
        guard let deadline = context.deadline else { return own }
        let left = max(1, deadline - environment.clock.steady)
        return own == 0 ? left : min(own, left)
    }
}

// MARK: From admission to end

/// A statement that was let in.
struct AdmittedStatement: Sendable {
    let query: SiloQuery.Query
    let control: StatementControl
    fileprivate let entry: Int
    fileprivate let begun: Timestamp
}

extension QueryOperations {
    /// Lets a statement in at its shards. Whoever calls it also calls `end`.
    /// - Parameter timeoutMilliseconds: 0: none.
    func admit(
        _ request: SiloV1.QueryRequest, timeoutMilliseconds: Int64, for context: RequestContext
    ) throws(SiloError) -> AdmittedStatement {
        let audience = try tenancy.audience(of: request.tenant, for: context)
        let parameters = try request.parameters.map { parameter throws(SiloError) in try Parameter(parameter) }
        let queried = try shards.queried(request.shard, for: audience).map(queried)
        return try admit(
            SiloQuery.Query(
                request.sql, parameters, tenants: audience, of: queried, now: environment.clock.now,
                allowsPartial: request.allowPartial, rowsMax: request.rowsMax == 0 ? .max : Int(request.rowsMax)),
            timeoutMilliseconds: timeoutMilliseconds)
    }

    /// The same of a statement that is asked from within the server, or of several that count as one.
    func admit(_ query: SiloQuery.Query, timeoutMilliseconds: Int64) throws(SiloError) -> AdmittedStatement {
        let control = StatementControl(timeoutMilliseconds: timeoutMilliseconds, clock: environment.clock)
        let names = query.shards.map(\.id)
        let entry: Int
        do {
            entry = try admission.enter(names, control)
        } catch {
            events.statementRefused(names)
            throw error
        }
        events.statementBegan(names)
        return AdmittedStatement(query: query, control: control, entry: entry, begun: environment.clock.steady)
    }

    func queried(_ host: any HostedShard) -> QueriedShard {
        QueriedShard(id: host.id, range: host.range, onRead: events.readings(of: host.id)) {
            [shards, environment] () async throws(SiloError) in
            let shard = try await shards.readable(host.id.description).shard
            let (reader, moment) = try await shard.reader()
            guard case .serving(let served) = shard else { return QueriedShard.View(reader, moment) }
            return QueriedShard.View(PacedReader(reader, of: served, environment.clock), moment)
        }
    }

    /// The statement has ended; what it answers is on its way, or it failed.
    /// - Parameters:
    ///   - bytes: of the rows.
    ///   - name: what a slow one is called in the log.
    func end(
        _ statement: AdmittedStatement, rows: Int = 0, bytes: Int = 0, failure: QueryError? = nil, as name: String = "slow query"
    ) {
        admission.leave(statement.entry)
        let milliseconds = environment.clock.steady - statement.begun
        let shards = statement.query.shards
        events.statementEnded(
            QueryReport(
                shards: shards.map(\.id), milliseconds: milliseconds, rows: rows, failure: failure.map { QueryFailure($0) }))
        guard settings.slowQueryMilliseconds > 0, milliseconds >= settings.slowQueryMilliseconds else { return }
        logger.warn(
            name,
            [
                "shard": .init(shards.map(\.id.description).joined(separator: ",")), "elapsed_ms": .init(Int(milliseconds)),
                "rows": .init(rows), "bytes": .init(bytes), "sql": .init(String(statement.query.sql.prefix(512))),
            ])
    }
}

extension Parameter {
    fileprivate init(_ parameter: SiloV1.QueryParameter) throws(SiloError) {
        switch parameter.value {
        case .boolValue(let value): self = .boolean(value)
        case .int64Value(let value): self = .integer(value)
        case .uint64Value(let value): self = .unsigned(value)
        case .float64Value(let value): self = .real(value)
        case .stringValue(let value): self = .text(value)
        case .bytesValue(let value): self = .blob(value)
        case .nullValue: self = .null
        case nil: throw .invalidArgument("query parameter is missing a value")
        }
    }
}
