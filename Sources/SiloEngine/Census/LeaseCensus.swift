package import SiloCore
import SiloStore

/// What workers hold. Reads nothing.
package struct LeaseCensus: Query {
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
    let worker: String?

    /// - Parameter worker: this one alone, with each of its leases.
    package init(worker: String? = nil) { self.worker = worker }

    package func check(_ view: View) async throws(Refusal) -> [String: Sum] {
        var sums: [String: Sum] = [:]
        var held: [LiveLease] = []
        view.forEachLease { lease in
            guard worker == nil || lease.record.workerId == worker else { return }
            let start = Timestamp(lease.record.startedAtMs)
            sums[lease.record.workerId, default: Sum()].count += 1
            sums[lease.record.workerId]?.oldest.become(earlier: start)
            if worker != nil { held.append(lease) }
        }
        guard let worker, sums[worker] != nil else { return sums }
        held.sort { ($0.record.startedAtMs, $0.job.text) < ($1.record.startedAtMs, $1.job.text) }
        sums[worker]?.held = held.prefix(Self.heldMax).map { lease in
            Held(
                tenant: lease.queue.id.tenant, job: lease.job, group: lease.queue.id.group, attempt: lease.record.attempt,
                startedAt: Timestamp(lease.record.startedAtMs), isCancelled: lease.cancelledAt != nil)
        }
        return sums
    }
}

extension Timestamp {
    fileprivate mutating func become(earlier other: Timestamp) { if other < self { self = other } }
}
