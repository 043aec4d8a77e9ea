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

    /// Whether the first ready task of a queue, if there is one, is in memory. False: the store does not answer.
    func haveFirstAtHand(of queue: Queue) async throws(StoreError) -> Bool {
        guard PendingRows.ready(queue).isToBeRead else { return true }
        let isRead: Void? = try await transaction.ifAnswered { () async throws(StoreError) in
            try await readAhead(from: queue)
            if PendingRows.ready(queue).isToBeRead { try await load(.ready(queue)) }
        }
        return isRead != nil
    }

    /// Takes the first ready task of a queue. Nil when its count promised one that is not stored.
    func takeFirst(of queue: Queue) async throws(StoreError) -> PendingTask? {
        guard let first = try await first(of: .ready(queue)) else { return nil }
        rows.delete(queue.keys.ready(queue.id.group, first.position))
        memory.popFirst(of: .ready(queue))
        beginPage(of: queue)
        return first
    }
}
