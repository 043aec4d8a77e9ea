package import SiloCore
package import SiloEngine
import SiloQuery
package import SiloStore

/// Finds the jobs of a shard's bulk actions: their conditions are SQL, answered within the bounds of statements and on their
/// threads.
package struct ConditionFinder: JobFinder {
    private let shard: ShardID
    private let settings: QuerySettings
    private let clock: any Clock

    package init(_ shard: ShardID, _ settings: QuerySettings, _ clock: any Clock) {
        self.shard = shard
        self.settings = settings
        self.clock = clock
    }

    package func find(
        _ search: JobSearch, in reader: any StoreReader, at moment: Moment
    ) async throws(FindError) -> FoundJobs {
        let walk = JobWalk(tenants: search.tenants, from: search.from, to: search.to, rowsMax: search.rowsMax)
        let queried = QueriedShard(id: shard, range: .all, reader: reader, moment: moment)
        let query = Query(where: search.condition, walk, of: queried, now: search.now)
        let control = StatementControl(timeoutMilliseconds: settings.statementTimeoutMilliseconds, clock: clock)
        let result = await withTaskCancellationHandler {
            do throws(QueryError) {
                return Result<WalkedJobs, FindError>.success(try await query.walked(settings.limits, control))
            } catch {
                return .failure(FindError(error))
            }
        } onCancel: {
            control.cancel()
        }
        let walked = try result.get()
        let jobs = walked.jobs.map { FoundJob(tenant: $0.tenant, id: $0.id, stamp: $0.stamp, row: $0.row) }
        return FoundJobs(jobs: jobs, rows: walked.rows, next: walked.next)
    }
}

extension FindError {
    fileprivate init(_ error: QueryError) {
        switch error {
        case .syntax(let text), .parameter(let text), .execution(let text), .store(.corrupt(let text, _), _): self = .cannot(text)
        case .timeout(let milliseconds, let shards) where !shards.isEmpty:
            self = .store(.unavailable("it has not answered within \(milliseconds) ms"))
        case .timeout(let milliseconds, _): self = .tooSlow("one job takes it more than \(milliseconds) ms")
        case .memory(let bytes): self = .tooSlow("one job takes it more than \(bytes) bytes of memory")
        case .resultTooLarge(let bytes), .rowTooLarge(let bytes): self = .tooSlow("one job takes it more than \(bytes) bytes")
        case .cancelled: self = .store(.unavailable("nobody waits for it any more"))
        case .store(let error, _): self = .store(error)
        case .closing, .unopened, .unanswered: self = .store(.unavailable("the shard cannot be read now"))
        }
    }
}
