import Protobuf
import SiloCore
import SiloStore

/// A job that a command works on.
package struct JobReference {
    let id: JobID
    let queue: Queue
    var keys: TenantKeys { queue.keys }
    var tenant: Tenant { queue.id.tenant }
    var group: TaskGroup { queue.id.group }

    /// Where a task of it stands among those that are ready or wait at a limit.
    func position(of task: StorageV1.Task, _ settings: EngineSettings) -> Position {
        let rank = settings.rank(
            start: Timestamp(task.startMs), scheduledAt: Timestamp(task.scheduledAtMs), priority: task.priority)
        return Position(order: rank, arrival: task.jobArrival, job: id)
    }

    /// The same of a stored job, whose task may stand there.
    func position(of stored: StoredJob, start: Timestamp, _ settings: EngineSettings) -> Position {
        let rank = settings.rank(start: start, scheduledAt: stored.scheduledAt, priority: stored.job.priority)
        return Position(order: rank, arrival: stored.job.arrival, job: id)
    }
}

extension EngineSettings {
    /// The order of those who wait: by priority, raised slowly by waiting, then by time. Time that had passed before somebody
    /// came was not waited: a start in the past is no better than one now.
    func rank(start: Timestamp, scheduledAt: Timestamp, priority: UInt32) -> UInt64 {
        let waits = UInt64(priority) * agingMillisecondsPerPriority
        let (sum, overflow) = max(start, scheduledAt).sortable.addingReportingOverflow(waits)
        return overflow ? .max : sum
    }
}

extension StorageV1.Task {
    /// The pending attempt of a job, with a copy of the job when that is small.
    /// - Parameters:
    ///   - scheduledAt: when the job's status came to say that this attempt is the next.
    ///   - encodedBytes: the size of the stored job.
    init(
        _ job: StorageV1.Job, attempt: UInt32, relative: UInt32, start: Timestamp, scheduledAt: Timestamp, encodedBytes: Int,
        _ settings: EngineSettings
    ) {
        self.init()
        self.attempt = attempt
        relativeAttempt = relative
        startMs = start.milliseconds
        scheduledAtMs = scheduledAt.milliseconds
        priority = job.priority
        if encodedBytes <= settings.inlineJobBytesMax {
            self.job = job
        } else {
            limits = job.limits
            taskGroup = job.taskGroup
            arrival = job.arrival
        }
    }
}
