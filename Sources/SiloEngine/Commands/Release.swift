public import SiloCore
package import SiloStore

/// Puts tasks back that a worker was never told of, as if they had not been leased.
public struct Release: Duty {
    public let tasks: [TaskID]

    public init(_ tasks: [TaskID]) {
        self.tasks = tasks
    }

    package static var lane: Lane { .own }

    package func run(in transaction: Transaction) async throws(StoreError) {
        var seen: Set<TaskID> = []
        for id in tasks where seen.insert(id).inserted {
            if let lease = transaction.memory.leases[id] {
                // One that cannot be read now goes on until it runs out.
                guard try await transaction.haveAtHand(toPutBack: lease) else { continue }
                try await transaction.attempts.release(lease, unheard: lease.record.unheard)
            } else if let refresh = transaction.memory.limits.refreshes[id] {
                transaction.refreshes.release(refresh)
            }
        }
    }
}
