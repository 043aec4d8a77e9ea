import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Renews the leases of what a worker has in hand, and ends what it lost.
final class LeaseKeeper: Sendable {
    private let client: Client
    private let workerID: String
    private let interval: Duration
    private let tell: @Sendable (WorkerError) -> Void
    private let running = Mutex<[String: Execution]>([:])

    init(_ client: Client, workerID: String, every interval: Duration, tell: @escaping @Sendable (WorkerError) -> Void) {
        self.client = client
        self.workerID = workerID
        self.interval = interval
        self.tell = tell
    }

    /// In the order of their tasks' ids.
    var executions: [Execution] {
        running.withLock { Array($0.values) }.sorted { $0.lease.taskID < $1.lease.taskID }
    }

    func begin(_ lease: Lease) -> Execution {
        let execution = Execution(lease, leasedAt: client.surroundings.clock.now)
        running.withLock { $0[lease.taskID] = execution }
        return execution
    }

    func end(_ execution: Execution) {
        running.withLock { running in
            // A task that came back after its lease was lost is another execution.
            if running[execution.lease.taskID] === execution { running[execution.lease.taskID] = nil }
        }
    }

    /// Renews leases until no work comes and none is left.
    func run(until poll: Task<Void, Never>) async {
        let clock = client.surroundings.clock
        // Looks more often than it renews, so that no lease waits for the next round for long.
        let pause = max(1, min(interval / 8, .milliseconds(250)).milliseconds)
        while !poll.isCancelled || running.withLock({ !$0.isEmpty }) {
            try? await clock.sleep(milliseconds: pause)
            for execution in executions where execution.takeBeat(every: interval, at: clock.now) {
                // Ends with its call; a late answer to a settled task does nothing.
                client.surroundings.start { await self.beat(execution) }
            }
            if Task.isCancelled { return }
        }
    }

    private func beat(_ execution: Execution) async {
        defer { execution.beatEnded() }
        let lease = execution.lease
        var request = SiloV1.HeartbeatRequest()
        request.shard = lease.shard
        request.workerId = workerID
        request.taskId = lease.taskID
        request.tenantId = lease.tenant
        do throws(Status) {
            let sent = request
            let response = try await client.retry.run(.shard(lease.shard)) { _, address, _ throws(Status) in
                try await client.connections.call(SiloV1.Silo.heartbeat, sent, at: address)
            }
            if response.cancelled { execution.end(.cancelled) }
        } catch {
            let cause = ClientError(error, job: lease.jobID ?? "")
            if case .leaseLost = cause {
                Probe.workerLostLease.reached()
                if execution.end(.leaseLost) { tell(WorkerError(doing: .holding, lease, cause)) }
            } else if !execution.isSettled {
                tell(WorkerError(doing: .renewing, lease, cause))
            }
        }
    }
}
