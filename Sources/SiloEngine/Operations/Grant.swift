import SiloCore
import SiloStore

extension Transaction {
    /// Gives what came free to those who wait for it, in order of rank: in the batch that freed it, before any newcomer.
    ///
    /// A line whose head needs something else besides moves to where that is missing, which writes nothing. What is left
    /// after `settings.grantsMax` looks is done in the next turn.
    func grantFreed() async throws(StoreError) {
        var left = settings.grantsMax - grantsOfBatch
        defer { grantsOfBatch = settings.grantsMax - left }
        while left > 0, let limit = memory.limits.nextFreed() {
            if try await !grant(limit, &left) {
                memory.limits.markFreed(limit)
                Probe.grantsLeftOver.reached()
            }
        }
        keep()
    }

    /// False when there was no time for all of it.
    private func grant(_ limit: Limit, _ left: inout Int) async throws(StoreError) -> Bool {
        while let line = limit.candidate() {
            guard left > 0 else { return false }
            left -= 1
            guard let head = try await head(of: line) else { continue }
            // What was read may have a higher rank than was known, and another line may be first.
            guard limit.candidate() === line else { continue }
            let task = head.record
            let queue = try await queue(line.id.tenant, task.jobGroup)
            let job = JobReference(id: head.position.job, queue: queue)
            let demands = try await demands(of: task.jobLimits, line.id.tenant)
            switch verdict(demands, in: line) {
            case .free:
                memory.limits.stopKeeping(for: line)
                takeFirst(of: line, head, queue)
                try await accept(job, task, demands)
            case .blocked(.hits(_, let rate), let dueAt) where rate.maxRetries > 0:
                takeFirst(of: line, head, queue)
                try await putOff(job, task, rate, roomAt: dueAt)
            case .blocked(let demand, let dueAt):
                if demand.limit !== limit, demand.isFreedByOthers {
                    memory.limits.passedOver(line, demands, patience: settings.passedOverMilliseconds, at: steady)
                }
                // What it lacks is no slot that comes free: nothing is kept for it meanwhile.
                if !demand.isFreedByOthers { memory.limits.stopKeeping(for: line) }
                memory.limits.park(line, at: demand)
                note(demand, dueAt, group: queue.id.group)
                // A line that stays is first still: nobody behind it goes before.
                if demand.limit === limit { return true }
            }
        }
        return true
    }

    /// The first job of a line, which stays in it. Nil when its count promised one that is not stored: the line is gone.
    func head(of line: Line) async throws(StoreError) -> PendingTask? {
        if line.window.isEmpty { try await loadWaiting(line) }
        guard let head = line.window.first else {
            memory.healed.note(.waitingMissing)
            line.countedOutAll()
            memory.limits.markDirty(line)
            memory.limits.forget(line)
            return nil
        }
        return head
    }
}
