import Protobuf
public import SiloCore
public import SiloStore

/// A shard that nobody serves, as its rows show it: what it tells those who only look, while its clock keeps it from writing.
public struct UnservedShard: Sendable {
    /// One unchanging view of its rows.
    public let reader: any StoreReader
    private let settings: EngineSettings
    private let clock: ContinuedClock

    /// Lines of a tenant that are looked at, besides that of the job.
    private static let linesMax = 4 * Findings.linesMax

    /// - Parameters:
    ///   - reader: a view in which everything is durable.
    ///   - clock: of this machine.
    ///   - rateLimiter: as in `Shard.open`.
    public init(
        _ reader: any StoreReader, settings: EngineSettings = EngineSettings(), clock: any Clock,
        rateLimiter: (any RateLimiter)? = nil
    ) async throws(StoreError) {
        self.reader = reader
        self.settings = settings.asking(rateLimiter)
        let info = try await reader.get(ShardKeys.info).map { bytes throws(StoreError) in try StorageV1.ShardInfo(stored: bytes) }
        self.clock = ContinuedClock(clock, after: info)
    }

    /// The wall clock, and the shard's steady time.
    public var moment: Moment { clock.moment }

    /// What is paused, in no order.
    public func pauses() async throws(StoreError) -> [PauseTarget: StorageV1.Pause] {
        try await ShardMemory.pauses(in: reader).all
    }

    /// What there is to be told of a job. The command runs over memory that is made for it from the rows, and nothing is written.
    /// - Throws: `SiloError` as the command does, and `StoreError`.
    public func run(_ explain: Explain) async throws -> Findings {
        do {
            return try await findings(explain)
        } catch .refused(let error) {
            throw error
        } catch .store(let error) {
            throw error
        }
    }

    private func findings(_ explain: Explain) async throws(Refusal) -> Findings {
        let transaction: Transaction
        do { transaction = try await self.transaction(of: explain.tenant) } catch { throw .store(error) }
        let view = View(of: transaction)
        let (stored, _) = try await view.find(explain.tenant, explain.id)
        if stored.state == .scheduled, !stored.job.limits.isEmpty {
            do {
                try await loadLines(of: explain.tenant, first: LineID(of: stored.job.limits), transaction)
            } catch {
                throw .store(error)
            }
        }
        return try await explain.check(view)
    }

    private func transaction(of tenant: Tenant) async throws(StoreError) -> Transaction {
        let memory = ShardMemory(
            settings: settings, windows: MemoryBudget(settings.windowBytesMax), pauses: try await ShardMemory.pauses(in: reader)
        )
        if let row = try await reader.get(ShardKeys.tenantState(tenant)) {
            memory.limits.take(try StorageV1.TenantState(stored: row), of: tenant)
        }
        return Transaction(store: reader, memory: memory, clock: clock, random: SystemRandom())
    }

    /// Finds out at which of their limits the tenant's lines wait.
    private func loadLines(of tenant: Tenant, first: LineID, _ transaction: Transaction) async throws(StoreError) {
        let own = ShardKeys.line(tenant, first)
        if let value = try await reader.get(own) { try await enter(Row(key: own, value: value), transaction) }
        let range = ShardKeys.lines(of: tenant)
        for row in try await reader.scan(from: range.start, to: range.end, limit: Self.linesMax) where row.key != own {
            try await enter(row, transaction)
        }
    }

    private func enter(_ row: Row, _ transaction: Transaction) async throws(StoreError) {
        guard case .line(let tenant, let id)? = ShardKeys.parse(row.key),
            let record = try? StorageV1.Line(serializedBytes: row.value)
        else { return }
        let line = Line(Line.ID(tenant: tenant, line: id), record, isStored: true)
        transaction.memory.limits.add(line)
        let demands = try await transaction.limits.demands(of: line.limits, tenant)
        guard case .blocked(let demand, _) = transaction.limits.verdict(demands, in: line) else { return }
        transaction.memory.limits.park(line, at: demand)
    }
}

extension Explanation {
    /// Nothing starts before the shard takes writes, and nothing that runs can end.
    /// - Parameters:
    ///   - time: when it takes writes at the earliest.
    ///   - reason: why it takes none, without a stop.
    public mutating func takesNoWrites(until time: Timestamp, _ reason: String) {
        guard status == .scheduled || status == .running else { return }
        summary = "The shard takes no writes: \(reason). \(summary)"
        guard status == .scheduled else { return }
        earliestStart = max(earliestStart ?? time, time)
        estimatedStart = estimatedStart.map { max($0, time) }
    }
}
