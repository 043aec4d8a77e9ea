import Protobuf
import SiloCore
import SiloStore

/// Waiting: the job stands in the line of those that ask for the same, at the first limit that has no room for it. It holds
/// nothing.
struct LineMoves: Part {
    let transaction: Transaction

    /// The line of jobs with these limits, which may be new and empty.
    func line(of limits: [StorageV1.Limit], _ tenant: Tenant) async throws(StoreError) -> Line {
        let id = Line.ID(tenant: tenant, line: LineID(of: limits))
        if let line = memory.limits.line(id) { return line }
        let record: StorageV1.Line? =
            if memory.limits.unreadLines != nil { try await transaction.record(ShardKeys.line(tenant, id.line)) } else { nil }
        let line = Line(id, record ?? StorageV1.Line(of: limits), isStored: record != nil)
        memory.limits.add(line)
        return line
    }

    func add(_ job: JobReference, _ task: StorageV1.Task, at demand: Demand) async throws(StoreError) {
        let line = try await line(of: task.jobLimits, job.tenant)
        let pending = PendingTask(job.position(of: task, settings), task)
        rows.insert(job.keys.waiting(line.id.line, pending.position), task.serializedBytes())
        memory.addWaiting(pending, to: line, at: demand)
        job.queue.counts.waiting += 1
        memory.markDirty(job.queue)
    }

    /// The first job of a line, which stays in it. Nil when its count promised one that is not stored: the line is gone.
    func head(of line: Line) async throws(StoreError) -> PendingTask? {
        if let head = try await first(of: .waiting(line)) { return head }
        memory.limits.forget(line)
        return nil
    }

    /// Takes the first job of a line out of it.
    func takeFirst(of line: Line, _ head: PendingTask, _ queue: Queue) {
        rows.delete(line.keys.waiting(line.id.line, head.position))
        memory.popFirst(of: .waiting(line))
        memory.countOutWaiting(of: queue)
        guard line.waiting == 0 else { return }
        reached(.lineEndedWithItsLastJob)
        memory.limits.forget(line)
    }
}

extension StorageV1.Line {
    fileprivate init(of limits: [StorageV1.Limit]) {
        self.init()
        self.limits = limits
    }
}
