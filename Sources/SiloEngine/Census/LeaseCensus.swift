package import SiloCore
import SiloStore

/// What workers hold. Reads nothing. A lease that is there all the while is told once; one that comes or goes meanwhile may be
/// told or not.
package struct LeaseCensus: Walk {
    package struct Held: Sendable {
        package let tenant: Tenant
        package let job: JobID
        package let group: TaskGroup
        package let attempt: UInt32
        package let startedAt: Timestamp
        package let isCancelled: Bool
    }
    /// Of one worker.
    package struct Sum: Sendable {
        package var count = 0
        package var oldest = Timestamp.distantFuture
        /// Oldest first, at most `heldMax`.
        package var held: [Held] = []
    }
    package static let heldMax = 200
    private let worker: ExactText?
    private var sums: [ExactText: Sum] = [:]
    private var held: [Held] = []
    private var place = 0

    /// - Parameter worker: this one alone, with each of its leases.
    package init(worker: String? = nil) { self.worker = ExactText(worker) }

    package mutating func step(_ view: View, countMax: Int) -> [ExactText: Sum]? {
        var place = place
        let isLast = view.forEachLease(from: &place, atMost: countMax) { see($0) }
        self.place = place
        guard isLast else { return nil }
        if let worker, sums[worker] != nil {
            keepOldest()
            sums[worker]?.held = held
        }
        return sums
    }

    private mutating func see(_ lease: LiveLease) {
        let id = ExactText(lease.record.workerId)
        guard worker == nil || id == worker else { return }
        let start = Timestamp(lease.record.startedAtMs)
        sums[id, default: Sum()].see(start)
        guard worker != nil else { return }
        held.append(Held(
            tenant: lease.queue.id.tenant, job: lease.job, group: lease.queue.id.group, attempt: lease.record.attempt,
            startedAt: start, isCancelled: lease.cancelledAt != nil))
        if held.count >= 4 * Self.heldMax { keepOldest() }
    }

    private mutating func keepOldest() {
        held.sort { ($0.startedAt, $0.job.text) < ($1.startedAt, $1.job.text) }
        held.removeLast(max(0, held.count - Self.heldMax))
    }
}

extension LeaseCensus.Sum {
    fileprivate mutating func see(_ start: Timestamp) {
        count += 1
        oldest = min(oldest, start)
    }
}
