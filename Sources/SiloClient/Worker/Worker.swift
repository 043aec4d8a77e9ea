import Foundation
import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Runs the jobs of one task group: asks for work, keeps the leases, reports what came of it, stops cleanly.
///
///     let worker = Worker(client, group: "thumbnails") { task in
///         try .success(try await thumbnail(task.payload.decode(as: Photo.self)))
///     }
///     await worker.run()
///
/// Where jobs of the group have floating limits, it also finds out their maximum again and again:
///
///     let worker = Worker(client, group: "calls") { task in … } refresh: { limit in
///         try await slotsGranted(to: limit.tenant)
///     }
public final class Worker: Sendable {
    public typealias Handler = @Sendable (TaskContext) async throws -> TaskOutcome
    /// Gives the new maximum of a floating limit; with 0 no job of it starts until the next refresh.
    public typealias RefreshHandler = @Sendable (RefreshContext) async throws -> UInt32

    public let id: String
    public let group: String
    private let client: Client
    private let options: WorkerOptions
    private let handler: Handler
    private let slots: Slots
    private let reporter: Reporter
    private let leases: LeaseKeeper
    private let refresher: Refresher
    private let polling = Mutex<Task<Void, Never>?>(nil)
    private let stopping = Atomic(false)

    /// - Parameters:
    ///   - handler: runs for each task, `concurrency` at once. What it throws fails the attempt with the code
    ///     `HANDLER_ERROR`.
    ///   - refresh: finds out the maximum of a floating limit, up to 4 at once beside the tasks. What it throws counts as a
    ///     failed refresh: the old maximum stays and the server asks again after a while. Without it every refresh that comes
    ///     here fails, so that workers that have one get it later.
    public init(
        _ client: Client, group: String, _ options: WorkerOptions = WorkerOptions(), handler: @escaping Handler,
        refresh: RefreshHandler? = nil
    ) {
        self.client = client
        self.group = group
        self.options = options
        self.handler = handler
        let random = UUID.random(from: client.surroundings.random).text.prefix(8)
        id = options.id ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)-\(random)"
        slots = Slots(max(1, options.concurrency))
        reporter = Reporter(client)
        leases = LeaseKeeper(client, workerID: id, every: options.heartbeatInterval, tell: options.onError)
        refresher = Refresher(client, leases, refresh, tell: options.onError)
    }

    /// Works until the worker is stopped. Cancelling the task that runs it stops it at once: what it holds is given up.
    public func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                let poll = surroundings.start { await self.poll() }
                polling.withLock { $0 = poll }
                if stopping.load(ordering: .sequentiallyConsistent) { poll.cancel() }
                group.addTask { await self.leases.run(until: poll) }
                await poll.value
                await slots.drained()
                await refresher.drained()
            }
        } onCancel: {
            stop()
            for execution in leases.executions { execution.end(.leaseLost) }
        }
    }

    /// Takes no more work. `run` returns when the handlers that run have ended and were reported.
    public func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        polling.withLock { $0 }?.cancel()
    }

    /// Tasks that handlers have in hand.
    public var runningTasks: Int { slots.takenCount }

    private var surroundings: Surroundings { client.surroundings }
    private var clock: any Clock { surroundings.clock }

    private func pause(_ duration: Duration) async { try? await clock.sleep(milliseconds: max(1, duration.milliseconds)) }

    // MARK: Work

    private func poll() async {
        // Every server that holds shards is asked, in turn.
        var turn = 0
        while !Task.isCancelled {
            let free = await slots.waitForFree()
            guard !Task.isCancelled else { return }
            let begun = clock.now
            do throws(Status) {
                let servers = try await client.connections.topology().addresses
                guard !servers.isEmpty else { throw Status(.unavailable, "no server holds a shard") }
                turn += 1
                // A long wait at one server would starve the others.
                let wait = servers.count == 1 ? options.wait : min(options.wait, .milliseconds(250))
                var request = SiloV1.LeaseTasksRequest()
                request.workerId = id
                request.maxTasks = UInt32(clamping: free)
                request.taskGroup = group
                request.waitMs = UInt32(clamping: wait.milliseconds)
                let response = try await client.connections.call(
                    SiloV1.Silo.leaseTasks, request, at: servers[turn % servers.count], wait: wait
                )
                for task in response.tasks { start(task) }
                for refresh in response.refreshTasks { refresher.start(refresh) }
                if response.tasks.isEmpty, response.refreshTasks.isEmpty, clock.now - begun < (wait / 2).milliseconds {
                    await pause(options.pollInterval)
                }
            } catch {
                guard !Task.isCancelled else { return }
                options.onError(WorkerError(doing: .leasing, nil, ClientError(error)))
                _ = try? await client.connections.refresh()
                await pause(options.pollInterval)
            }
        }
    }

    private func start(_ task: SiloV1.Task) {
        slots.take()
        let execution = leases.begin(Lease(task))
        // Ends by itself; `run` waits for its slot.
        surroundings.start { [self] in
            let context = TaskContext(task, execution)
            let work = surroundings.start { [handler] () -> TaskOutcome in
                do {
                    return try await handler(context)
                } catch {
                    return .failed(code: "HANDLER_ERROR", data: (try? Payload(["message": "\(error)"])) ?? .empty)
                }
            }
            let outcome = await execution.value(of: work)
            execution.settle()
            await report(outcome, of: execution)
            leases.end(execution)
            slots.free()
        }
    }

    private func report(_ outcome: TaskOutcome, of execution: Execution) async {
        let lease = execution.lease
        let final: TaskOutcome
        switch execution.ending {
        case .leaseLost: return
        case .cancelled: final = .cancelled
        case nil: final = outcome
        }
        var request = SiloV1.ReportOutcomeRequest()
        request.shard = lease.shard
        request.taskId = lease.taskID
        request.tenantId = lease.tenant
        switch final {
        case .succeeded(let payload): request.outcome = .success(payload.message)
        case .cancelled: request.outcome = .cancelled(SiloV1.Cancelled())
        case .failed(let code, let data):
            var failure = SiloV1.Failure()
            failure.code = code
            failure.data = data.message
            request.outcome = .failure(failure)
        }
        do throws(Status) {
            try await reporter.report(request)
        } catch {
            options.onError(WorkerError(doing: .reporting, lease, ClientError(error, job: lease.jobID ?? "")))
        }
    }
}
