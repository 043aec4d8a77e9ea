import SiloCore
import SiloStore

/// A lease as memory holds it, with what its report needs: a success reads nothing from the store.
package final class LiveLease {
    let taskID: TaskID
    let job: JobID
    let queue: Queue
    var record: StorageV1.Lease
    /// When it ends unless it is renewed, in steady time: not before the record says so, and later when its batch takes long.
    var expiresAt: Timestamp
    /// The batch that granted or renewed it last; nil: it was stored when the shard was opened.
    var batch: WrittenBatch?
    /// Where memory has it among all; see `ShardMemory.leaseSlots`.
    var slot = 0

    init(taskID: TaskID, job: JobID, queue: Queue, record: StorageV1.Lease) {
        self.taskID = taskID
        self.job = job
        self.queue = queue
        self.record = record
        expiresAt = Timestamp(record.expiresAtMs)
    }

    /// Whether it has ended by a time. Until its batch is durable it has not.
    func isOver(by steady: Timestamp, length: Int64) -> Bool {
        guard expiresAt <= steady else { return false }
        if let batch { expiresAt = batch.endOfLease(storedAs: expiresAt, length: length) ?? steady + length }
        return expiresAt <= steady
    }

    var key: Bytes { queue.keys.lease(job) }
    var cancelledAt: Timestamp? { record.cancelledAtMs.map { Timestamp($0) } }
}

/// When to look at a lease, in steady time. A renewed lease is looked at in vain once, and again at its new time.
struct LeaseAlarm: Comparable {
    let at: Timestamp
    let taskID: TaskID
    static func < (left: LeaseAlarm, right: LeaseAlarm) -> Bool { left.at < right.at }
}

/// When to look at a queue's timers.
struct TimerAlarm: Comparable {
    let at: Timestamp
    let queue: Queue.ID
    static func < (left: TimerAlarm, right: TimerAlarm) -> Bool { left.at < right.at }
    static func == (left: TimerAlarm, right: TimerAlarm) -> Bool { left.at == right.at && left.queue == right.queue }
}
