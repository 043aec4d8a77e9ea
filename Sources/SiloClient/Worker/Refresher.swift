import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Works on the refreshes of floating limits that come with a worker's tasks: a few at once, beside the jobs. What comes on
/// top waits in line with its lease kept; a limit has one refresh at most.
final class Refresher: Sendable {
    private struct Work: Sendable {
        let task: SiloV1.RefreshFloatingLimitTask
        let execution: Execution
    }
    private struct State {
        var line: [Work] = []
        var active = 0
        var hasComplained = false
    }
    private let client: Client
    private let leases: LeaseKeeper
    private let load: WorkLoad
    private let handler: Worker.RefreshHandler?
    private let tell: @Sendable (WorkerError) -> Void
    private let state = Mutex(State())
    private static let activeMax = 4

    init(
        _ client: Client, _ leases: LeaseKeeper, _ load: WorkLoad, _ handler: Worker.RefreshHandler?,
        tell: @escaping @Sendable (WorkerError) -> Void
    ) {
        self.client = client
        self.leases = leases
        self.load = load
        self.handler = handler
        self.tell = tell
    }

    /// - Parameter asked: when the request was sent that brought it, on the steady clock.
    func start(_ task: SiloV1.RefreshFloatingLimitTask, asked: Timestamp) {
        load.begin()
        let work = Work(task: task, execution: leases.begin(Lease(task), asked: asked))
        state.withLock { $0.line.append(work) }
        startNext()
    }

    private func startNext() {
        let next: Work? = state.withLock { state in
            guard state.active < Self.activeMax, !state.line.isEmpty else { return nil }
            state.active += 1
            return state.line.removeFirst()
        }
        guard let next else { return }
        // Ends by itself; the worker waits for it.
        load.outcomes.start { [self] in
            await run(next)
            leases.end(next.execution)
            state.withLock { $0.active -= 1 }
            startNext()
            load.end()
        }
    }

    private func run(_ work: Work) async {
        await work.execution.confirmed()
        // It was lost before its turn came.
        guard work.execution.ending == nil else { return load.handlerEnded() }
        var request = SiloV1.ReportRefreshOutcomeRequest()
        request.shard = work.task.shard
        request.taskId = work.task.id
        request.tenantId = work.task.tenantId
        request.outcome = await outcome(of: work)
        work.execution.settle()
        load.handlerEnded()
        guard work.execution.ending == nil else { return }
        do throws(Status) {
            _ = try await client.router.call(
                SiloV1.Silo.reportRefreshOutcome, to: .shard(work.task.shard), .forever
            ) { [request] _ in request }
        } catch {
            tell(WorkerError(doing: .reporting, work.execution.lease, ClientError(error)))
        }
    }

    private func outcome(of work: Work) async -> SiloV1.ReportRefreshOutcomeRequest.OneOfOutcome {
        guard let handler else {
            complainOnce(of: work.execution.lease)
            return .failure(Self.failure("NO_REFRESH_HANDLER", "the worker that got the refresh has no handler for refreshes"))
        }
        let context = RefreshContext(work.task, work.execution)
        let lanes = client.lanes
        let running = lanes.handlers.start { () -> SiloV1.ReportRefreshOutcomeRequest.OneOfOutcome in
            do {
                // It was lost while it waited for a thread.
                guard work.execution.ending == nil else { throw CancellationError() }
                var success = SiloV1.RefreshSuccess()
                success.newMaxConcurrency = try await handler(context)
                return .success(success)
            } catch {
                return .failure(Self.failure("REFRESH_ERROR", "\(error)"))
            }
        }
        return await work.execution.value(of: running) { lanes.callbacks.start { running.cancel() } }
    }

    private static func failure(_ code: String, _ text: String) -> SiloV1.RefreshFailure {
        var failure = SiloV1.RefreshFailure()
        failure.code = code
        failure.message = text
        return failure
    }

    /// Each refresh of the group may come here: saying so once is enough.
    private func complainOnce(of lease: Lease) {
        let isFirst = state.withLock { state in
            defer { state.hasComplained = true }
            return !state.hasComplained
        }
        guard isFirst else { return }
        tell(WorkerError(
            doing: .refreshing, lease,
            .refused("this worker has no refresh handler; give it one, or let only workers that have one poll the task group")
        ))
    }
}
