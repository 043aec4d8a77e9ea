import SiloCore
import SiloStore

@testable import SiloEngine

/// What a shard should do, in plain dictionaries and without regard to cost: the specification that the engine is held to.
struct Model {
    static let leaseMilliseconds: Int64 = 10_000
    static let unheardMax = 3

    struct Job {
        var new: NewJob
        var start: Timestamp
        /// When the job was scheduled for the attempt that it waits for or runs.
        var scheduledAt: Timestamp
        /// Counts the jobs in the order in which they came.
        let arrival: Int
        var place: Place
        /// Attempts that ended, in order.
        var ended: [Ended] = []
        /// How often the attempt was leased and its worker not heard of.
        var unheard = 0
    }
    struct Ended: Equatable {
        let number: UInt32
        let relative: UInt32
        let outcome: StorageV1.JobState
        let code: String
    }
    enum Place {
        case scheduled(attempt: UInt32, relative: UInt32, start: Timestamp)
        case running(Running)
        /// `attempt` is the one that a restart would run, unless it ended the job.
        case finished(StorageV1.JobState, attempt: UInt32, at: Timestamp, cancelledAt: Timestamp?, start: Timestamp?, ran: Bool)
    }
    struct Running {
        /// Nil: it was leased, but nobody was told.
        var task: TaskID?
        let worker: String
        let attempt: UInt32
        let relative: UInt32
        let start: Timestamp
        let startedAt: Timestamp
        var expiresAt: Timestamp
        /// What the row says; a reopened shard grants more.
        var storedExpiresAt: Timestamp
        var cancelledAt: Timestamp?
        var isHeard = false
    }

    var now: Timestamp
    var jobs: [JobKey: Job] = [:]
    /// Tenants that are being dropped: they have no jobs, and nothing can be done with them.
    var dropping: Set<Tenant> = []
    private var arrivals = 0

    init(now: Timestamp) {
        self.now = now
    }

    var completed: Int { jobs.values.filter { if case .finished = $0.place { true } else { false } }.count }
    var running: [(key: JobKey, lease: Running)] {
        jobs.compactMap { key, job in if case .running(let lease) = job.place { (key, lease) } else { nil } }
    }

    /// Ready jobs of a group, in the order within each tenant.
    func ready(_ group: String) -> [JobKey] {
        let ready = jobs.compactMap { key, job -> (rank: UInt64, arrival: Int, key: JobKey)? in
            guard job.new.group == group, case .scheduled(_, _, let start) = job.place, start <= now else { return nil }
            return (max(start, job.scheduledAt).sortable + UInt64(job.new.priority) * 60_000, job.arrival, key)
        }
        return ready.sorted { ($0.rank, $0.arrival) < ($1.rank, $1.arrival) }.map(\.key)
    }

    // MARK: Time and crashes

    /// The clock moved and the loop looked at it.
    mutating func expire() {
        for (key, lease) in running where lease.expiresAt <= now {
            if lease.cancelledAt == nil, !lease.isHeard, let unheard = jobs[key]?.unheard, unheard < Self.unheardMax {
                jobs[key]?.unheard = unheard + 1
                jobs[key]?.place = .scheduled(attempt: lease.attempt, relative: lease.relative, start: lease.start)
            } else {
                end(key, lease, lease.cancelledAt != nil ? .cancelled : .failure, code: "WORKER_CRASHED")
            }
        }
    }

    /// Another process opened the database.
    mutating func reopen() {
        for (key, var lease) in running {
            lease.expiresAt = max(lease.storedExpiresAt, now + Self.leaseMilliseconds)
            jobs[key]?.place = .running(lease)
        }
    }

    // MARK: Operations

    /// Does what the operation should do. For a lease, `answer` says what the shard chose; nil when nobody knows.
    /// Returns what it should have answered.
    mutating func apply(_ operation: Operation, _ answer: Answer?) -> Answer {
        if let tenant = operation.named, dropping.contains(tenant) { return .refused(.tenantBeingDropped(tenant)) }
        switch operation {
        case .sweep(let tenant, let state, let period):
            return erase { key, job in
                guard key.tenant == tenant, job.new.retain == 0, case .finished(state, _, let at, _, _, _) = job.place else {
                    return false
                }
                return FinishedPeriod(of: at) == period
            }
        case .sweepKept(let tenant, let time):
            return erase { key, job in
                guard Slice(of: key.tenant.hash) == Slice(of: tenant.hash), job.new.retain > 0,
                    case .finished(_, _, let at, _, _, _) = job.place
                else { return false }
                return at + job.new.retain <= time
            }
        case .drop(let tenant):
            guard !dropping.contains(tenant) else { return .done }
            dropping.insert(tenant)
            _ = erase { key, _ in key.tenant == tenant }
            return .done
        case .dropStep(let tenant):
            guard dropping.contains(tenant) else { return .dropped(isDone: true) }
            // How far each step comes is its own; that nothing is left at the end is seen by the audit of the rows.
            let isDone = answer == .dropped(isDone: true)
            if isDone { dropping.remove(tenant) }
            return .dropped(isDone: isDone)
        case .enqueue(let new): return enqueue(new)
        case .enqueueAll(let new):
            let before = jobs
            for job in new {
                if case .refused(let error) = enqueue(job) {
                    jobs = before
                    return .refused(error)
                }
            }
            return .done
        case .lease(let group, let count, let worker): return lease(group, count, worker, answer)
        case .leaseOne(let key, let worker): return leaseOne(key, worker, answer)
        case .heartbeat(let tenant, let task, let worker): return heartbeat(tenant, task, worker)
        case .report(let tenant, let task, let kind):
            guard let (key, lease) = find(task), key.tenant == tenant else { return .refused(.leaseNotFound) }
            end(key, lease, kind, code: "BROKEN")
            return .done
        case .giveBack(let tasks):
            for task in tasks {
                guard let (key, lease) = find(task) else { continue }
                if let cancelledAt = lease.cancelledAt {
                    jobs[key]?.place = .finished(
                        .cancelled, attempt: lease.attempt, at: now, cancelledAt: cancelledAt, start: nil, ran: false)
                } else {
                    jobs[key]?.place = .scheduled(attempt: lease.attempt, relative: lease.relative, start: lease.start)
                }
            }
            return .done
        case .cancel(let key): return cancel(key)
        case .restart(let key): return restart(key)
        case .expedite(let key): return expedite(key)
        case .delete(let key):
            guard let job = jobs[key] else { return .done }
            guard case .finished = job.place else { return .refused(.jobInProgress(key.id)) }
            jobs[key] = nil
            return .done
        }
    }

    private mutating func erase(_ isErased: (JobKey, Job) -> Bool) -> Answer {
        let keys = jobs.filter { isErased($0.key, $0.value) }.map(\.key)
        for key in keys { jobs[key] = nil }
        return .erased(keys.count)
    }

    private mutating func enqueue(_ new: NewJob) -> Answer {
        guard !dropping.contains(new.key.tenant) else { return .refused(.tenantBeingDropped(new.key.tenant)) }
        guard jobs[new.key] == nil else { return .refused(.jobAlreadyExists(new.key.id)) }
        let start = new.startAtMs > 0 ? Timestamp(new.startAtMs) : now
        let place = Place.scheduled(attempt: 1, relative: 1, start: start)
        arrivals += 1
        jobs[new.key] = Job(new: new, start: start, scheduledAt: now, arrival: arrivals, place: place)
        return .done
    }

    private mutating func lease(_ group: String, _ count: Int, _ worker: String, _ answer: Answer?) -> Answer {
        let ready = ready(group)
        guard case .leased(let given)? = answer else { return .leased([]) }
        // Which tenants are served is the shard's choice; how many jobs, and each tenant's order, is not.
        guard given.count == min(count, ready.count) else { return .refused(.corrupt("\(min(count, ready.count)) of \(ready)")) }
        for tenant in Set(given.map(\.key.tenant)) {
            let served = given.map(\.key).filter { $0.tenant == tenant }
            let expected = Array(ready.filter { $0.tenant == tenant }.prefix(served.count))
            guard served == expected else { return .refused(.corrupt("of \(tenant): \(expected)")) }
        }
        for task in given {
            if let problem = run(task.key, worker, task) { return .refused(.corrupt(problem)) }
        }
        return .leased(given)
    }

    private mutating func leaseOne(_ key: JobKey, _ worker: String, _ answer: Answer?) -> Answer {
        guard let job = jobs[key] else { return .refused(.jobNotFound) }
        func refuse(_ reason: String, _ state: JobStatusName) -> Answer {
            .refused(.jobRefused(.lease, key.id, reason: reason, state))
        }
        switch job.place {
        case .running: return refuse("job is currently running", .running)
        case .finished(.cancelled, _, _, let cancelledAt, _, _):
            return refuse(cancelledAt != nil ? "job is cancelled" : "job has no pending task", .cancelled)
        case .finished(let state, _, _, _, _, _): return refuse("job is already in terminal state", state.name)
        case .scheduled(let attempt, _, let start):
            jobs[key]?.place = .scheduled(attempt: attempt, relative: attempt, start: start)
            guard case .leased(let given)? = answer, let task = given.first else {
                _ = run(key, worker, nil)
                return .leased([])
            }
            if let problem = run(key, worker, task) { return .refused(.corrupt(problem)) }
            return .leased([task])
        }
    }

    /// Gives a scheduled job to a worker; says what is wrong with the task that the worker got.
    mutating func run(_ key: JobKey, _ worker: String, _ given: Given?) -> String? {
        guard let job = jobs[key], case .scheduled(let attempt, let relative, let start) = job.place else {
            return "\(key) is not scheduled"
        }
        jobs[key]?.place = .running(
            Running(
                task: given?.task, worker: worker, attempt: attempt, relative: relative, start: start, startedAt: now,
                expiresAt: now + Self.leaseMilliseconds, storedExpiresAt: now + Self.leaseMilliseconds
            )
        )
        guard let given else { return nil }
        let isLast = relative >= (job.new.retries ?? 0) + 1
        guard (given.key, given.attempt, given.relative, given.isLast) == (key, attempt, relative, isLast) else {
            return "\(key) attempt \(attempt), relative \(relative), last \(isLast)"
        }
        return nil
    }

    private mutating func heartbeat(_ tenant: Tenant, _ task: TaskID, _ worker: String) -> Answer {
        guard case (let key, var lease)? = find(task), key.tenant == tenant else { return .refused(.leaseNotFound) }
        guard lease.worker == worker else { return .refused(.leaseOwnerMismatch) }
        lease.expiresAt = now + Self.leaseMilliseconds
        lease.storedExpiresAt = lease.expiresAt
        lease.isHeard = true
        jobs[key]?.place = .running(lease)
        return .cancelledAt(lease.cancelledAt)
    }

    private mutating func cancel(_ key: JobKey) -> Answer {
        guard let job = jobs[key] else { return .refused(.jobNotFound) }
        switch job.place {
        case .scheduled(let attempt, _, let start):
            jobs[key]?.place = .finished(.cancelled, attempt: attempt, at: now, cancelledAt: now, start: start, ran: false)
        case .running(var lease):
            guard lease.cancelledAt == nil else { return .refused(.jobAlreadyCancelled) }
            lease.cancelledAt = now
            lease.storedExpiresAt = lease.expiresAt
            jobs[key]?.place = .running(lease)
        case .finished(_, _, _, .some, _, _):
            return .refused(.jobAlreadyCancelled)
        case .finished(.cancelled, let attempt, let at, nil, let start, let ran):
            jobs[key]?.place = .finished(.cancelled, attempt: attempt, at: at, cancelledAt: now, start: start, ran: ran)
        case .finished:
            return .refused(.jobAlreadyTerminal)
        }
        return .done
    }

    private mutating func restart(_ key: JobKey) -> Answer {
        guard let job = jobs[key] else { return .refused(.jobNotFound) }
        func refuse(_ reason: String, _ state: JobStatusName) -> Answer {
            .refused(.jobRefused(.restart, key.id, reason: reason, state))
        }
        switch job.place {
        case .scheduled: return refuse("job is still in progress", .scheduled)
        case .running: return refuse("job is still in progress", .running)
        case .finished(.succeeded, _, _, _, _, _): return refuse("job already succeeded", .succeeded)
        case .finished(_, let attempt, _, _, let start, let ran):
            // It waits for its date only if it did when it was cancelled, before it ran at all.
            let date = Timestamp(job.new.startAtMs)
            let waits = attempt == 1 && !ran && start.map { $0 >= date } ?? false
            schedule(key, ran ? attempt + 1 : attempt, 1, waits ? max(now, date) : now)
            return .done
        }
    }

    private mutating func expedite(_ key: JobKey) -> Answer {
        guard let job = jobs[key] else { return .refused(.jobNotFound) }
        func refuse(_ reason: String, _ state: JobStatusName) -> Answer {
            .refused(.jobRefused(.expedite, key.id, reason: reason, state))
        }
        switch job.place {
        case .finished(.cancelled, _, _, nil, _, _): return refuse("job has no pending task to expedite", .cancelled)
        case .finished(.cancelled, _, _, _, _, _): return refuse("job is cancelled", .cancelled)
        case .finished(let state, _, _, _, _, _): return refuse("job is already in terminal state", state.name)
        case .running(let lease):
            return refuse(lease.cancelledAt != nil ? "job is cancelled" : "job is currently running", .running)
        case .scheduled(let attempt, let relative, let start):
            guard start > now else { return refuse("task is already ready to run (not future-scheduled)", .scheduled) }
            schedule(key, attempt, relative, now)
            return .done
        }
    }

    // MARK: Parts

    private func find(_ task: TaskID) -> (JobKey, Running)? {
        running.first { $0.lease.task == task }.map { ($0.key, $0.lease) }
    }

    private mutating func schedule(_ key: JobKey, _ attempt: UInt32, _ relative: UInt32, _ start: Timestamp) {
        jobs[key]?.scheduledAt = now
        jobs[key]?.unheard = 0
        jobs[key]?.place = .scheduled(attempt: attempt, relative: relative, start: start)
    }

    private mutating func end(_ key: JobKey, _ lease: Running, _ kind: Operation.Kind, code: String) {
        guard let job = jobs[key] else { return }
        let outcome: StorageV1.JobState = kind == .success ? .succeeded : kind == .failure ? .failed : .cancelled
        let ended = Ended(number: lease.attempt, relative: lease.relative, outcome: outcome, code: kind == .failure ? code : "")
        jobs[key]?.ended.append(ended)
        if kind == .failure, lease.cancelledAt == nil, let retries = job.new.retries, lease.relative <= retries {
            // Factor 2, never more than a minute.
            let wait = lease.relative >= 16 ? 60_000 : min(60_000, job.new.interval << Int64(lease.relative))
            schedule(key, lease.attempt + 1, lease.relative + 1, now + wait)
            return
        }
        let state: StorageV1.JobState = kind == .failure && lease.cancelledAt != nil ? .cancelled : outcome
        jobs[key]?.place = .finished(
            state, attempt: lease.attempt, at: now, cancelledAt: lease.cancelledAt, start: nil, ran: true)
    }
}

extension Operation {
    /// The tenant whose job it names, such as nobody can do anything with while it is dropped.
    fileprivate var named: Tenant? {
        switch self {
        case .leaseOne(let key, _), .cancel(let key), .restart(let key), .expedite(let key), .delete(let key): key.tenant
        default: nil
        }
    }
}
