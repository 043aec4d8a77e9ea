import SiloCore
import SiloStore

/// Ends the leases that expired: their workers are taken for dead (spec/jobs.md 6.6).
struct ExpireLeases: Duty {
    /// Leases ended in one go.
    static let countMax = 256

    /// In steady time. Not later than the oldest renewal that waits to be read: it may be for any of them.
    let endedBy: Timestamp

    func run(in transaction: Transaction) async throws(StoreError) {
        let memory = transaction.memory
        var left = Self.countMax
        // Those whose jobs' rows the store does not give.
        var waiting: [LiveLease] = []
        defer { for lease in waiting { memory.leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID)) } }
        while left > 0, let alarm = memory.leaseAlarms.first, alarm.at <= endedBy {
            memory.leaseAlarms.popFirst()
            guard let lease = memory.leases[alarm.taskID] else { continue }
            guard lease.isOver(by: endedBy, length: transaction.settings.leaseMilliseconds) else {
                memory.leaseAlarms.insert(LeaseAlarm(at: lease.expiresAt, taskID: lease.taskID))
                continue
            }
            left -= 1
            guard try await transaction.haveAtHand(toPutBack: lease) else {
                waiting.append(lease)
                continue
            }
            try await expire(lease, in: transaction)
        }
    }

    private func expire(_ lease: LiveLease, in transaction: Transaction) async throws(StoreError) {
        transaction.memory.tally.leasesExpired += 1
        if lease.cancelledAt != nil {
            transaction.reached(.cancelledLeaseExpired)
            return try await transaction.attempts.end(lease, .cancelled)
        }
        if !lease.record.heard, lease.record.unheard < transaction.settings.unheardLeasesMax {
            transaction.reached(.unheardLeaseGivenBack)
            return try await transaction.attempts.release(lease, unheard: lease.record.unheard + 1)
        }
        transaction.reached(.leaseExpired)
        let end = transaction.moment.date(of: lease.expiresAt)
        let text = "lease expired at \(end) (now \(transaction.now)), worker=\(lease.record.workerId)"
        try await transaction.attempts.end(lease, .failure(code: "WORKER_CRASHED", data: messagePack(text)))
    }
}
