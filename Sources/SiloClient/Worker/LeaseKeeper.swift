import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Renews the leases of what a worker has in hand until their outcomes are taken, and ends the handlers of those that it cannot
/// know to hold.
final class LeaseKeeper: Sendable {
    private struct State {
        var running: [String: Execution] = [:]
        var isAbandoned = false
    }
    private let client: Client
    private let workerID: String
    /// Nil: a third of the lease.
    private let interval: Duration?
    private let tell: @Sendable (WorkerError) -> Void
    private let state = Mutex(State())
    /// Between two looks, at most. A lease that comes meanwhile has a third of its time left, or was looked at when it came.
    private static let pauseMax: Int64 = 250

    init(_ client: Client, workerID: String, every interval: Duration?, tell: @escaping @Sendable (WorkerError) -> Void) {
        self.client = client
        self.workerID = workerID
        self.interval = interval
        self.tell = tell
    }

    private var clock: any Clock { client.environment.clock }

    /// In the order of their tasks' ids.
    private var executions: [Execution] {
        state.withLock { Array($0.running.values) }.sorted { $0.lease.taskID < $1.lease.taskID }
    }

    /// - Parameter asked: when the request was sent that brought the lease, on the steady clock.
    func begin(_ lease: Lease, asked: Timestamp) -> Execution {
        let now = clock.steady
        let term = LeaseTerm(length: lease.milliseconds, interval: interval?.milliseconds, asked: asked, now: now)
        let execution = Execution(lease, term)
        let isAbandoned = state.withLock { state in
            state.running[lease.taskID] = execution
            return state.isAbandoned
        }
        if isAbandoned { execution.end(.leaseLost) }
        if !term.isConfirmed { Probe.workerConfirmedLease.reached() }
        _ = look(at: execution, now)
        return execution
    }

    func end(_ execution: Execution) {
        state.withLock { state in
            // A task that came back after its lease was lost is another execution.
            if state.running[execution.lease.taskID] === execution { state.running[execution.lease.taskID] = nil }
        }
    }

    /// Ends what is in hand and what still comes.
    func abandon() {
        state.withLock { $0.isAbandoned = true }
        for execution in executions { execution.end(.leaseLost) }
    }

    /// Renews leases until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let now = clock.steady
            var next = now + Self.pauseMax
            for execution in executions { next = min(next, look(at: execution, now)) }
            try? await clock.sleep(milliseconds: max(1, next - clock.steady))
        }
    }

    /// Does what is due for one lease.
    /// - Returns: when to look again.
    private func look(at execution: Execution, _ now: Timestamp) -> Timestamp {
        let due = execution.due(at: now)
        if due.isOver, execution.end(.leaseLost) {
            Probe.workerGaveUpLease.reached()
            let text = "no heartbeat was answered within \(execution.leaseMilliseconds) ms, so another worker may have the task"
            tell(WorkerError(doing: .holding, execution.lease, .leaseLost(text)))
        }
        if let since = due.silentSince {
            client.router.suspect(client.router.address(of: execution.lease.shard), silentSince: since)
        }
        // Ends with its call; a late answer to a task that is over does nothing.
        if due.beats { client.environment.start { await self.beat(execution, sent: now) } }
        return due.next
    }

    private func beat(_ execution: Execution, sent: Timestamp) async {
        let lease = execution.lease
        var request = SiloV1.HeartbeatRequest()
        request.shard = lease.shard
        request.workerId = workerID
        request.taskId = lease.taskID
        request.tenantId = lease.tenant
        do throws(Status) {
            // An answer that takes longer than a lease proves nothing.
            let response = try await client.router.call(
                SiloV1.Silo.heartbeat, request, at: client.router.address(of: lease.shard),
                timeout: .milliseconds(execution.leaseMilliseconds)
            )
            execution.acknowledge(beatOf: sent)
            if response.cancelled { execution.end(.cancelled) }
        } catch {
            await failed(execution, sent, error)
        }
    }

    private func failed(_ execution: Execution, _ sent: Timestamp, _ status: Status) async {
        let lease = execution.lease
        let cause = ClientError(status, job: lease.jobID ?? "")
        if case .leaseLost = cause {
            Probe.workerLostLease.reached()
            if execution.end(.leaseLost) { tell(WorkerError(doing: .holding, lease, cause)) }
            return
        }
        if execution.fail(beatOf: sent, at: clock.steady) { tell(WorkerError(doing: .renewing, lease, cause)) }
        if status.isWrongShard, let address = status.trailers["x-silo-shard-owner-addr"] {
            client.router.moved(lease.shard, to: address)
        } else if status.isWorthAnotherTry {
            _ = try? await client.router.refresh()
        }
    }
}
