import SiloCore
import SiloEngine
import Synchronization

/// What clients and workers of a simulation were told, and what must follow from it.
///
/// It knows only what travelled over the wire; the rows are the audit's. An answer that was lost counts as unknown.
final class Book: Sendable {
    struct JobName: Hashable, Sendable, Comparable, CustomStringConvertible {
        let tenant: String
        let id: String
        var description: String { "\(tenant)/\(id)" }
        static func < (left: JobName, right: JobName) -> Bool { (left.tenant, left.id) < (right.tenant, right.id) }
    }
    /// A lease as the worker that has it believes.
    private struct Lease {
        let job: JobName
        let keys: [String: UInt32]
        let asked: Timestamp
        var until: Timestamp
    }
    /// Drops of the holders of one key.
    private struct KeyDrops {
        /// That may be on their way.
        var unknown = 0
        /// When the last one was done for certain.
        var last: Timestamp?
    }
    private struct Entry {
        /// Fixed maxima of its concurrency limits, by key.
        var keys: [String: UInt32] = [:]
        var isAcknowledged = false
        var mayBeDeleted = false
        var hasSucceeded = false
        /// When it was cancelled for certain.
        var cancelledAt: Timestamp?
        /// Somebody has asked for it to run again: then nothing is known of when.
        var mayBeRevived = false
    }
    private struct State {
        var jobs: [JobName: Entry] = [:]
        var told: [String: JobName] = [:]
        /// Each attempt that was given to a worker: when the last one that got it had asked, and how many did.
        var attempts: [String: (asked: Timestamp, count: Int)] = [:]
        var leases: [String: Lease] = [:]
        /// Handlers that run, by their tasks, and whether they were told to stop.
        var handlers: [String: (job: JobName, isStopped: @Sendable () -> Bool)] = [:]
        var drops: Set<String> = []
        /// By tenant and key.
        var keyDrops: [String: [String: KeyDrops]] = [:]
        /// Tenants that somebody wanted to be dropped, with all their jobs.
        var dropped: Set<String> = []
        var violations: [String] = []
        var enqueued = 0
        var finished = 0
    }
    private let state = Mutex(State())
    private let clock: any Clock
    private let leaseMilliseconds: Int64
    /// Every job goes when it has finished, sooner or later; its name may be stored anew.
    private let allGo: Bool

    init(_ clock: any Clock, leaseMilliseconds: Int64, allGo: Bool = false) {
        self.clock = clock
        self.allGo = allGo
        self.leaseMilliseconds = leaseMilliseconds
    }

    var violations: [String] { state.withLock { $0.violations } }
    func complain(_ text: String) { state.withLock { $0.violations.append(text) } }

    /// Jobs that somebody may work on, in order.
    var known: [JobName] { state.withLock { $0.jobs.keys.sorted() } }
    /// Of those, the ones that are stored for certain, or were.
    var acknowledged: [JobName] { state.withLock { $0.jobs.filter { $0.value.isAcknowledged }.keys.sorted() } }
    var counts: (enqueued: Int, succeeded: Int) { state.withLock { ($0.enqueued, $0.finished) } }

    /// A lease that ended with no word from its worker is not counted, a bounded number of times: its attempt is given to
    /// another.
    private func mayComeAgain(_ given: (asked: Timestamp, count: Int), at now: Timestamp) -> Bool {
        now - given.asked >= leaseMilliseconds && given.count <= EngineSettings().unheardLeasesMax
    }

    // MARK: Clients

    /// A job may be stored from now on.
    func sends(_ job: JobName, keys: [String: UInt32]) {
        state.withLock { $0.jobs[job, default: Entry()].keys = keys }
    }

    func stored(_ job: JobName) {
        state.withLock { state in
            state.jobs[job, default: Entry()].isAcknowledged = true
            state.enqueued += 1
        }
    }

    func sendsDelete(_ job: JobName) { state.withLock { $0.jobs[job]?.mayBeDeleted = true } }

    func cancelled(_ job: JobName) {
        let now = clock.now
        state.withLock { $0.jobs[job]?.cancelledAt = now }
    }

    /// A restart or a new import is on its way: the job may run again.
    func sendsRevival(_ job: JobName) { state.withLock { $0.jobs[job]?.mayBeRevived = true } }

    /// Everything of the tenant goes, and what comes later may go with it.
    func sendsDropOfAll(of tenant: String) {
        state.withLock { state in
            state.drops.insert(tenant)
            state.dropped.insert(tenant)
        }
    }

    func sendsDrop(of tenant: String) { state.withLock { _ = $0.drops.insert(tenant) } }

    func sendsDrop(of key: String, _ tenant: String) {
        state.withLock { $0.keyDrops[tenant, default: [:]][key, default: KeyDrops()].unknown += 1 }
    }

    /// Whoever asked before may have lost its slot of the key; whoever asks from now on has one.
    func dropped(_ key: String, _ tenant: String) {
        let now = clock.now
        state.withLock { state in
            state.keyDrops[tenant]?[key]?.unknown -= 1
            state.keyDrops[tenant]?[key]?.last = now
        }
    }

    // MARK: Workers

    /// A worker was given an attempt.
    /// - Parameter asked: when it asked; the lease is no older.
    func given(_ job: JobName, attempt: UInt32, task: String, asked: Timestamp) {
        let now = clock.now
        state.withLock { state in
            // The client names some jobs itself; its caller learns the name with the answer.
            if state.jobs[job] == nil, job.id.count == 36 { state.jobs[job] = Entry() }
            guard let entry = state.jobs[job] else {
                return state.violations.append("J18: a worker got \(job), which nobody enqueued")
            }
            // After a delete the name may be stored anew: by an import, or by a repeated enqueue whose first answer was lost.
            let isAnother = entry.mayBeDeleted || allGo || state.dropped.contains(job.tenant)
            let name = "\(job) \(attempt)"
            if let given = state.attempts[name], !isAnother, !mayComeAgain(given, at: now) {
                state.violations.append("J23 J26: attempt \(attempt) of \(job) was given twice")
            }
            state.attempts[name] = (asked, isAnother ? 1 : (state.attempts[name]?.count ?? 0) + 1)
            if let other = state.told.updateValue(job, forKey: task), other != job {
                state.violations.append("J19: task \(task) is of \(other) and \(job)")
            }
            if let at = entry.cancelledAt, at < asked, !entry.mayBeRevived, !isAnother {
                state.violations.append("J35: \(job) was cancelled at \(at) and attempt \(attempt) starts")
            }
            if entry.hasSucceeded, !entry.mayBeRevived, !isAnother {
                state.violations.append("J6: \(job) has succeeded, and attempt \(attempt) starts")
            }
            state.leases[task] = Lease(
                job: job, keys: isAnother ? [:] : entry.keys, asked: asked, until: asked + leaseMilliseconds)
            Self.checkLimits(job.tenant, &state, at: now)
        }
    }

    /// A handler starts: every other of the same job must have ended, or know that it is to stop.
    func starts(_ job: JobName, task: String, isStopped: @escaping @Sendable () -> Bool) {
        let now = clock.now
        state.withLock { state in
            // Lost with its tenant, it may have been stored anew.
            let others = state.dropped.contains(job.tenant) ? [:] : state.handlers
            for (other, handler) in others where handler.job == job && other != task && !handler.isStopped() {
                state.violations.append(
                    "J1: at \(now) task \(task) of \(job) starts while the handler of \(other) believes in its lease")
            }
            state.handlers[task] = (job, isStopped)
        }
    }

    /// The lease was renewed.
    func renewed(_ task: String, asked: Timestamp) {
        state.withLock { [leaseMilliseconds] in $0.leases[task]?.until = asked + leaseMilliseconds }
    }

    /// The worker sends how it ended: from now on the lease may be over.
    func sendsOutcome(_ task: String) {
        state.withLock { state in
            state.leases[task] = nil
            state.handlers[task] = nil
        }
    }

    func succeeded(_ task: String) {
        state.withLock { state in
            guard let job = state.told[task] else { return }
            state.jobs[job]?.hasSucceeded = true
            state.finished += 1
        }
    }

    /// Leases that workers believe in are a lower bound of those in force: no key may have more than its slots.
    private static func checkLimits(_ tenant: String, _ state: inout State, at now: Timestamp) {
        guard !state.drops.contains(tenant) else { return }
        var held: [String: (count: Int, max: UInt32)] = [:]
        let drops = state.keyDrops[tenant] ?? [:]
        for lease in state.leases.values where lease.job.tenant == tenant && lease.until > now {
            for (key, max) in lease.keys where holds(lease, drops[key]) {
                held[key] = ((held[key]?.count ?? 0) + 1, Swift.max(held[key]?.max ?? 0, max))
            }
        }
        for (key, sum) in held.sorted(by: { $0.key < $1.key }) where sum.count > sum.max {
            let who = state.leases.filter { $0.value.job.tenant == tenant && $0.value.keys[key] != nil && $0.value.until > now }
                .map { "\($0.value.job) until \($0.value.until)" }.sorted().joined(separator: ", ")
            state.violations.append(
                "L1: at \(now) \(sum.count) leases of \(tenant)/\(key) are in force, \(sum.max) are allowed: \(who)")
        }
    }

    /// A lease from before a drop may have lost its slot of the key.
    private static func holds(_ lease: Lease, _ drops: KeyDrops?) -> Bool {
        guard let drops else { return true }
        return drops.unknown == 0 && drops.last.map { lease.asked > $0 } ?? true
    }

    // MARK: In the end

    /// What must be stored now: acknowledged jobs, with whether they must have succeeded.
    var promised: [(job: JobName, mustHaveSucceeded: Bool, mustBeCancelled: Bool)] {
        state.withLock { state in
            state.jobs.filter { $0.value.isAcknowledged && !$0.value.mayBeDeleted && !state.dropped.contains($0.key.tenant) }
                .map {
                    (
                        $0.key, $0.value.hasSucceeded && !$0.value.mayBeRevived,
                        $0.value.cancelledAt != nil && !$0.value.mayBeRevived
                    )
                }.sorted { $0.0 < $1.0 }
        }
    }
}
