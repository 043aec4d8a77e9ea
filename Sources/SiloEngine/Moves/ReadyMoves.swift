import Protobuf
import SiloCore
import SiloStore

/// Ready: the job waits for a worker, with all that its limits ask for.
struct ReadyMoves: Part {
    let transaction: Transaction

    func add(_ job: JobReference, _ task: StorageV1.Task) {
        let pending = PendingTask(job.position(of: task, settings), task)
        rows.insert(job.keys.ready(job.group, pending.position), task.serializedBytes())
        memory.addReady(pending, to: job.queue)
        memory.markDirty(job.queue)
    }

    /// Takes the first ready task of a queue. Nil when its count promised one that is not stored.
    func takeFirst(of queue: Queue) async throws(StoreError) -> PendingTask? {
        if queue.ready.isEmpty { try await readAhead(from: queue) }
        guard let first = try await first(of: .ready(queue)) else { return nil }
        rows.delete(queue.keys.ready(queue.id.group, first.position))
        memory.popFirst(of: .ready(queue))
        return first
    }
}
