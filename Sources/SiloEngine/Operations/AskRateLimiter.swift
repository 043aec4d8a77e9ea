import Protobuf
import SiloCore
import SiloStore

/// A question that the loop puts to the external rate limiter once its turn is written.
struct PendingCheck {
    let tenant: Tenant
    let job: JobID
    let attempt: UInt32
    /// Which of the job's rate limits, from 0.
    let index: UInt32
    /// When the job's timer is due, which tells this question from later ones.
    let due: Due
    /// When the job was stored: another of the same name is another job.
    let createdAt: Timestamp
    let check: RateCheck
}

extension Transaction {
    /// Has the external limiter asked. Meanwhile the job stands at a timer, with the slots it took; when no answer comes, the
    /// timer fires, the slots are given up and everything is asked anew. So an outage delays jobs and loses none.
    func ask(_ rate: StorageV1.RateLimit, _ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) {
        let due = try await delay(job, task, by: settings.rateAnswerMilliseconds)
        let pending = PendingCheck(
            tenant: job.tenant, job: job.id, attempt: task.attempt, index: task.ratesPassed, due: due,
            createdAt: try await created(job, task),
            check: RateCheck(rate)
        )
        afterwards { $0.checks.append(pending) }
    }

    private func created(_ job: JobReference, _ task: StorageV1.Task) async throws(StoreError) -> Timestamp {
        if let job = task.job { return Timestamp(job.createdAtMs) }
        let stored = try await get(job.keys.job(job.id)).flatMap { try? StorageV1.Job(serializedBytes: $0) }
        return Timestamp(stored?.createdAtMs ?? 0)
    }
}

/// Takes the external limiter's answer for a job that waits for it. A late answer finds the job elsewhere and does nothing.
struct RateAnswered: Command {
    let question: PendingCheck
    let answer: RateAnswer

    static var lane: Lane { .own }

    func run(in transaction: Transaction) async throws {
        let found: (stored: StoredJob, job: JobReference)
        do {
            found = try await transaction.find(question.tenant, question.job)
        } catch is SiloError {
            return
        }
        let (stored, job) = found
        let rates = stored.job.limits.rates
        guard stored.state == .scheduled, stored.attempt == question.attempt, question.index < rates.count,
            RateCheck(rates[Int(question.index)]) == question.check,
            Timestamp(stored.job.createdAtMs) == question.createdAt, let due = stored.delay, due == question.due,
            let bytes = try await transaction.get(job.keys.timer(due.axis, job.queue.id.group, stored.position(due))),
            let asking = try? StorageV1.Task(serializedBytes: bytes), asking.hold != nil, asking.ratesPassed == question.index,
            var task = try await transaction.takeTimer(job, stored)
        else { return }
        let rate = rates[Int(question.index)]

        switch answer {
        case .under:
            task.ratesPassed += 1
            guard let next = task.nextCheck else {
                try await transaction.retarget(job, task, nil)
                return transaction.placeReady(job, task)
            }
            try await transaction.ask(next, job, task)
        case .over(let resetAt):
            try await transaction.putOff(job, try await transaction.releasing(task, job), rate, roomAt: resetAt.map { .date($0) })
        case .failed:
            let wait = max(transaction.settings.rateRetryLeastMilliseconds, rate.initialBackoffMs)
            try await transaction.putOff(job, try await transaction.releasing(task, job), by: wait)
        }
    }
}

extension RateCheck {
    fileprivate init(_ rate: StorageV1.RateLimit) {
        self.init(
            name: rate.name, uniqueKey: rate.uniqueKey, hits: Int64(rate.hits), limit: rate.limit,
            durationMilliseconds: rate.durationMs, algorithm: rate.algorithm, behavior: rate.behavior, burst: rate.burst
        )
    }
}

extension StorageV1.Task {
    /// The next of the job's rate limits that an external limiter has not let it pass.
    var nextCheck: StorageV1.RateLimit? {
        let rates = jobLimits.rates
        return ratesPassed < rates.count ? rates[Int(ratesPassed)] : nil
    }
}
