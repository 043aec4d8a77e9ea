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

/// Takes the external limiter's answer for a job that waits for it. A late answer finds the job elsewhere and does nothing.
struct RateAnswered: Duty {
    let question: PendingCheck
    let answer: RateAnswer

    static var lane: Lane { .own }

    func run(in transaction: Transaction) async throws(StoreError) {
        // When the store does not answer, the question is put again once the job's timer is due.
        let found = try await transaction.ifAnswered { () async throws(StoreError) in try await waiting(in: transaction) }
        guard let found, let (stored, job, timer) = found,
            try await transaction.haveAtHand(transaction.unread(stored.job.limits, of: question.tenant))
        else { return }
        var task = try await transaction.pending.take(timer, job, stored)
        let rate = stored.job.limits.rates[Int(question.index)]

        switch answer {
        case .under:
            task.ratesPassed += 1
            guard let next = task.nextCheck else {
                try await transaction.admission.retarget(job, task, nil)
                return transaction.ready.add(job, task)
            }
            try await transaction.admission.ask(next, job, task)
        case .over(let resetAt):
            try await transaction.admission.putOff(
                job, try await transaction.limits.releasing(task, job), rate, roomAt: resetAt.map { .date($0) })
        case .failed:
            let wait = max(transaction.settings.rateRetryLeastMilliseconds, rate.initialBackoffMs)
            try await transaction.admission.putOff(job, try await transaction.limits.releasing(task, job), by: wait)
        }
    }

    /// The job that waits for the answer, and its timer; nil when it is elsewhere.
    private func waiting(
        in transaction: Transaction
    ) async throws(StoreError) -> (stored: StoredJob, job: JobReference, timer: Pending)? {
        guard let (stored, job) = try await transaction.find(question.tenant, question.job) else { return nil }
        let rates = stored.job.limits.rates
        guard stored.state == .scheduled, stored.attempt == question.attempt, question.index < rates.count,
            RateCheck(rates[Int(question.index)]) == question.check,
            Timestamp(stored.job.createdAtMs) == question.createdAt, let due = stored.delay, due == question.due,
            let timer = try await transaction.pending.timer(job, stored),
            let task = timer.value.flatMap({ try? StorageV1.Task(serializedBytes: $0) }), task.hold != nil,
            task.ratesPassed == question.index
        else { return nil }
        return (stored, job, timer)
    }
}

extension RateCheck {
    init(_ rate: StorageV1.RateLimit) {
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
