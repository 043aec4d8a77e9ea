import SiloAPI
import SiloCore
import SiloEngine
import SiloQuery
import SiloStore

/// Tells what a bulk action would do, within the bounds of one statement.
struct BulkDryRun: Sendable {
    let request: BulkRequest
    let scope: BulkScope
    let shards: [QueriedShard]
    let limits: QueryLimits
    let clock: any Clock
    let tenancy: Tenancy

    /// What the log calls all of it.
    var counting: SiloQuery.Query {
        ask("SELECT status_kind, COUNT(*) AS jobs FROM jobs WHERE \(condition) GROUP BY status_kind", of: shards)
    }

    /// Asks no job: only whether the condition is one.
    func check(_ control: StatementControl) async throws(QueryError) {
        let explain = "EXPLAIN SELECT 1 FROM jobs WHERE \(condition)"
        try Self.refuseNoticed(try await ask(explain, of: Array(shards.prefix(1))).texts(limits, control))
    }

    /// - Parameter control: of all that is asked.
    func plan(_ control: StatementControl) async throws(QueryError) -> SiloV1.BulkPlan {
        let began = clock.steady
        var plan = SiloV1.BulkPlan()
        do throws(QueryError) {
            try await sample(into: &plan, control)
            try await count(into: &plan, control)
        } catch .timeout {
            plan.isUncounted = true
        } catch .store(.corrupt(let text, _), _) {
            // The action refuses that job and goes on.
            plan.isUncounted = true
            plan.uncountedBecause = text
        }
        plan.elapsedMs = clock.steady - began
        return plan
    }

    private var condition: String { "(\(request.condition)\n)" }

    private func count(into plan: inout SiloV1.BulkPlan, _ control: StatementControl) async throws(QueryError) {
        let found = try await counting.texts(limits, control)
        plan.rowsRead += UInt64(found.rowsRead)
        for row in found.rows.sorted(by: { $0[0] < $1[0] }) {
            var count = SiloV1.BulkStatusCount()
            count.statusKind = row[0]
            count.jobs = UInt64(row[1]) ?? 0
            count.refusal = request.verb.refusal(of: row[0]) ?? ""
            plan.statuses.append(count)
            plan.jobs += count.jobs
        }
    }

    private func sample(into plan: inout SiloV1.BulkPlan, _ control: StatementControl) async throws(QueryError) {
        let statement = "SELECT tenant, id FROM jobs WHERE \(condition) LIMIT \(SiloV1.BulkAction.sampleMax)"
        let found = try await ask(statement, of: shards).texts(limits, control)
        try Self.refuseNoticed(found)
        plan.rowsRead += UInt64(found.rowsRead)
        plan.sample = found.rows.map { SiloV1.BulkJob($0[0], $0[1], tenancy) }
    }

    /// What a statement is only told of is refused here: a wrong word after <> would mean every job.
    private static func refuseNoticed(_ found: QueryTexts) throws(QueryError) {
        if let notice = found.notices.first { throw .syntax(notice) }
    }

    private func ask(_ sql: String, of shards: [QueriedShard]) -> SiloQuery.Query {
        SiloQuery.Query(sql, tenants: scope.tenants, of: shards, now: clock.now)
    }
}
