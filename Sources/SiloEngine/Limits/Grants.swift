import SiloCore
import SiloStore

/// Gives what came free to those who wait for it.
struct Grants: Part {
    let transaction: Transaction

    /// In order of rank: in the batch that freed it, before any newcomer.
    ///
    /// A line whose head needs something else besides moves to where that is missing, which writes nothing. What is left
    /// after `settings.grantsMax` looks is done in the next turn.
    func grantFreed() async throws(StoreError) {
        var left = settings.grantsMax - transaction.grantsOfBatch
        // Those for whose lines the store gives no rows.
        var waiting: [Limit] = []
        defer {
            transaction.grantsOfBatch = settings.grantsMax - left
            for limit in waiting { memory.limits.markFreed(limit) }
        }
        while left > 0, let limit = memory.limits.nextFreed() {
            switch try await grant(limit, &left) {
            case .done: break
            case .noTime:
                memory.limits.markFreed(limit)
                reached(.grantsLeftOver)
            case .unread: waiting.append(limit)
            }
        }
    }

    private enum Outcome {
        case done
        /// There was no time for all of it.
        case noTime
        /// The store does not answer.
        case unread
    }

    private func grant(_ limit: Limit, _ left: inout Int) async throws(StoreError) -> Outcome {
        while let line = limit.candidate() {
            guard left > 0 else { return .noTime }
            left -= 1
            guard try await haveFirstAtHand(of: .waiting(line)) else { return .unread }
            guard let head = try await lines.head(of: line) else { continue }
            // What was read may have a higher rank than was known, and another line may be first.
            guard limit.candidate() === line else { continue }
            let task = head.record
            let id = Queue.ID(tenant: line.id.tenant, group: task.jobGroup)
            let unread = transaction.unread(id) + transaction.unread(task.jobLimits, of: line.id.tenant)
            guard try await transaction.haveAtHand(unread) else { return .unread }
            let queue = try await transaction.queue(line.id.tenant, task.jobGroup)
            let job = JobReference(id: head.position.job, queue: queue)
            let demands = try await limits.demands(of: task.jobLimits, line.id.tenant)
            switch limits.verdict(demands, in: line) {
            case .free:
                memory.limits.stopKeeping(for: line)
                lines.takeFirst(of: line, head, queue)
                memory.tally.grantedFromLine += 1
                try await admission.accept(job, task, demands)
            case .blocked(.hits(_, let rate), let dueAt) where rate.maxRetries > 0:
                lines.takeFirst(of: line, head, queue)
                try await admission.putOff(job, task, rate, roomAt: dueAt)
            case .blocked(let demand, let dueAt):
                if demand.limit !== limit, demand.isFreedByOthers {
                    memory.limits.passedOver(line, demands, patience: settings.passedOverMilliseconds, at: steady)
                }
                // What it lacks is no slot that comes free: nothing is kept for it meanwhile.
                if !demand.isFreedByOthers { memory.limits.stopKeeping(for: line) }
                memory.limits.park(line, at: demand)
                limits.note(demand, dueAt, group: queue.id.group)
                // A line that stays is first still: nobody behind it goes before.
                if demand.limit === limit { return .done }
            }
        }
        return .done
    }
}
