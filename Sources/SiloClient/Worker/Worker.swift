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
public final class Worker: Sendable {
    public typealias Handler = @Sendable (TaskContext) async throws -> TaskOutcome

    public let id: String
    public let group: String
    private let client: Client
    private let options: WorkerOptions
    private let handler: Handler
    private let slots: Slots
    private let reporter: Reporter
    private let refresher: Refresher
    private let running = Mutex<[String: Execution]>([:])
    private let polling = Mutex<Task<Void, Never>?>(nil)
    private let stopping = Atomic(false)

    /// - Parameters:
    ///   - refresh: finds a new maximum for a floating limit of the group's jobs, 0 to close it. What it throws counts as a
    ///     failure: the value stays, and the server asks again after 1 s, 2 s, up to a minute. Without it every request for a
    ///     refresh fails so.
    ///   - handler: runs for each task, `concurrency` at once. What it throws fails the attempt with the code
    ///     `HANDLER_ERROR`.
    public init(
        _ client: Client, group: String, _ options: WorkerOptions = WorkerOptions(),
        refresh: (@Sendable (RefreshContext) async throws -> UInt32)? = nil, handler: @escaping Handler
    ) {
        self.client = client
        self.group = group
        self.options = options
        self.handler = handler
        let random = UUID.random(from: client.surroundings.random).text.prefix(8)
        id = options.id ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)-\(random)"
        slots = Slots(max(1, options.concurrency))
        reporter = Reporter(client)
        refresher = Refresher(client, workerID: id, options, refresh)
    }

    /// Works until the worker is stopped. Cancelling the task that runs it stops it at once: what it holds is given up.
    public func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                let poll = surroundings.start { await self.poll() }
                polling.withLock { $0 = poll }
                if stopping.load(ordering: .sequentiallyConsistent) { poll.cancel() }
                group.addTask { await self.keepLeases(until: poll) }
                await poll.value
                await slots.drained()
                await refresher.drained()
            }
        } onCancel: {
            stop()
            for execution in executions { execution.end(.leaseLost) }
        }
    }

    /// Takes no more work. `run` returns when the handlers that run have ended and were reported.
    public func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        polling.withLock { $0 }?.cancel()
    }

    /// Tasks that handlers have in hand.
    public var runningTasks: Int { running.withLock { $0.count } }

    private var executions: [Execution] {
        running.withLock { Array($0.values) }.sorted { $0.task.id < $1.task.id }
    }
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
                for task in response.refreshTasks { refresher.start(task) }
                if response.tasks.isEmpty, response.refreshTasks.isEmpty, clock.now - begun < (wait / 2).milliseconds {
                    await pause(options.pollInterval)
                }
            } catch {
                guard !Task.isCancelled else { return }
                options.onError(WorkerError(doing: .leasing, taskID: nil, jobID: nil, cause: ClientError(error)))
                _ = try? await client.connections.refresh()
                await pause(options.pollInterval)
            }
        }
    }

    private func start(_ task: SiloV1.Task) {
        let execution = Execution(task, leasedAt: clock.now)
        slots.take()
        running.withLock { $0[task.id] = execution }
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
            execution.run(work)
            let outcome = await work.value
            execution.settle()
            await report(outcome, of: execution)
            running.withLock { running in
                // A task that came back after its lease was lost is another execution.
                if running[task.id] === execution { running[task.id] = nil }
            }
            slots.free()
        }
    }

    private func report(_ outcome: TaskOutcome, of execution: Execution) async {
        let task = execution.task
        let final: TaskOutcome
        switch execution.ending {
        case .leaseLost: return
        case .cancelled: final = .cancelled
        case nil: final = outcome
        }
        var request = SiloV1.ReportOutcomeRequest()
        request.shard = task.shard
        request.taskId = task.id
        request.tenantId = task.tenantId
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
            tell(.reporting, task, ClientError(error, job: task.jobId))
        }
    }

    // MARK: Leases

    /// Renews leases until no work comes and none is left.
    private func keepLeases(until poll: Task<Void, Never>) async {
        // Looks more often than it renews, so that no lease waits for the next round for long.
        let interval = min(options.heartbeatInterval / 8, .milliseconds(250))
        while !poll.isCancelled || runningTasks > 0 {
            await pause(interval)
            for execution in executions where execution.takeBeat(every: options.heartbeatInterval, at: clock.now) {
                // Ends with its call; a late answer to a settled task does nothing.
                surroundings.start { await self.beat(execution) }
            }
            if Task.isCancelled { return }
        }
    }

    private func beat(_ execution: Execution) async {
        defer { execution.beatEnded() }
        let task = execution.task
        var request = SiloV1.HeartbeatRequest()
        request.shard = task.shard
        request.workerId = id
        request.taskId = task.id
        request.tenantId = task.tenantId
        do throws(Status) {
            let sent = request
            let response = try await client.retry.run(.shard(task.shard)) { _, address, _ throws(Status) in
                try await client.connections.call(SiloV1.Silo.heartbeat, sent, at: address)
            }
            if response.cancelled { execution.end(.cancelled) }
        } catch {
            let cause = ClientError(error, job: task.jobId)
            if case .leaseLost = cause {
                Probe.workerLostLease.reached()
                if execution.end(.leaseLost) { tell(.holding, task, cause) }
            } else if !execution.isSettled {
                tell(.renewing, task, cause)
            }
        }
    }

    private func tell(_ doing: WorkerError.Doing, _ task: SiloV1.Task, _ cause: ClientError) {
        options.onError(WorkerError(doing: doing, taskID: task.id, jobID: task.jobId, cause: cause))
    }
}
