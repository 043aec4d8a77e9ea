import Foundation
import GRPC
import SiloAPI
import SiloCore
import SiloTelemetry
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
    private let load: WorkLoad
    private let reporter: Reporter
    private let leases: LeaseKeeper
    private let refresher: Refresher
    private let teller: Teller
    private let tell: @Sendable (WorkerError) -> Void
    private let stopping = Atomic(false)
    /// Where it runs, as whoever lists workers sees it.
    private static let host = String(ProcessInfo.processInfo.hostName.prefix(64))

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
        let random = UUID.random(from: client.environment.random).text.prefix(8)
        id = options.id ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)-\(random)"
        slots = Slots(max(1, options.concurrency))
        let teller = Teller(client.lanes.callbacks, options.onError)
        self.teller = teller
        tell = { teller.tell($0) }
        load = WorkLoad(client.environment)
        reporter = Reporter(client, sending: load.outcomes)
        leases = LeaseKeeper(client, workerID: id, every: options.heartbeatInterval, tell: tell)
        refresher = Refresher(client, leases, load, refresh, tell: tell)
    }

    /// Works until the worker is stopped. Cancelling the task that runs it stops it at once: what it holds is given up.
    public func run() async {
        // What it does for its jobs is done for those who sent them, whatever it was started for.
        await TraceContext.$current.withValue(nil) { await work() }
    }

    private func work() async {
        let poll = environment.start { await self.poll() }
        await withTaskCancellationHandler {
            // On the client's own thread: the caller's may be taken by handlers.
            await environment.start { await self.work(until: poll) }.value
        } onCancel: {
            stop()
            poll.cancel()
            leases.abandon()
            load.outcomes.cancelAll()
        }
    }

    /// Takes no more work. `run` returns when the handlers that run have ended and their outcomes were taken, or when no server
    /// took them for `WorkerOptions.outcomePatience`. An answer that is on its way is waited for, and what it brings is run: a
    /// request for work waits up to `WorkerOptions.wait`.
    public func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
    }

    /// Tasks in hand: those whose handlers run, and those whose outcomes no server has taken yet.
    public var runningTasks: Int { slots.takenCount }

    private var environment: Environment { client.environment }
    private var clock: any Clock { environment.clock }
    private var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    private func pause(_ duration: Duration) async { try? await clock.sleep(milliseconds: max(1, duration.milliseconds)) }

    private func work(until poll: Task<Void, Never>) async {
        let keeping = environment.start { await self.leases.run() }
        await poll.value
        await load.handlersDrained()
        let giveUp = environment.start {
            do { try await self.clock.sleep(milliseconds: self.options.outcomePatience.milliseconds) } catch { return }
            self.load.outcomes.cancelAll()
        }
        await load.drained()
        giveUp.cancel()
        keeping.cancel()
        await keeping.value
        await teller.drained(within: .seconds(5), in: environment)
    }

    // MARK: Work

    private func poll() async {
        // Every server that holds shards is asked, in turn.
        var turn = 0
        while !isStopping {
            let free = await slots.waitForFree()
            guard !isStopping else { return }
            let asked = clock.steady
            do throws(Status) {
                let servers = try await client.router.topology().addresses
                guard !servers.isEmpty else { throw Status(.unavailable, "no server holds a shard") }
                turn += 1
                // A long wait at one server would starve the others.
                let wait = servers.count == 1 ? options.wait : min(options.wait, .milliseconds(250))
                let isEmpty = try await lease(free, at: servers[turn % servers.count], wait)
                if isEmpty, clock.steady - asked < (wait / 2).milliseconds { await pause(options.pollInterval) }
            } catch {
                guard !isStopping else { return }
                tell(WorkerError(doing: .leasing, nil, ClientError(error)))
                _ = try? await client.router.refresh()
                await pause(options.pollInterval)
            }
        }
    }

    /// Asks for work once and starts what comes.
    /// - Returns: whether there was none.
    private func lease(_ count: Int, at server: String, _ wait: Duration) async throws(Status) -> Bool {
        var request = SiloV1.LeaseTasksRequest()
        request.workerId = id
        request.maxTasks = UInt32(clamping: count)
        request.taskGroup = group
        request.waitMs = UInt32(clamping: wait.milliseconds)
        request.answerBytesMax = Self.answerBytesMax
        request.host = Self.host
        request.version = options.version
        let asked = clock.steady
        let response = try await client.router.call(SiloV1.Silo.leaseTasks, request, at: server, wait: wait)
        for task in response.tasks { start(task, asked: asked) }
        for refresh in response.refreshTasks { refresher.start(refresh, asked: asked) }
        return response.tasks.isEmpty && response.refreshTasks.isEmpty
    }

    /// Of an answer to a request for work. Below what a channel takes, since one task alone may be larger; above the 4 MiB that
    /// servers keep to when nothing is said.
    private static let answerBytesMax: UInt64 = 32 << 20

    private func start(_ task: SiloV1.Task, asked: Timestamp) {
        slots.take()
        load.begin()
        let execution = leases.begin(Lease(task), asked: asked)
        // Ends by itself; `run` waits for it.
        environment.start { [self] in
            await execution.confirmed()
            let span = ProcessSpan(of: task, by: id, client.options.tracer)
            let outcome = await outcome(of: task, execution, span.context)
            execution.settle()
            span.end(outcome)
            load.handlerEnded()
            await report(outcome, of: execution, span.context)
            leases.end(execution)
            slots.free()
            load.end()
        }
    }

    private func outcome(of task: SiloV1.Task, _ execution: Execution, _ trace: TraceContext?) async -> TaskOutcome {
        guard execution.ending == nil else { return .cancelled }
        let context = TaskContext(task, execution)
        let lanes = client.lanes
        let work = lanes.handlers.start { [handler] () -> TaskOutcome in
            // It may have waited long for a thread.
            guard execution.ending == nil else { return .cancelled }
            do {
                return try await TraceContext.$current.withValue(trace) { try await handler(context) }
            } catch {
                return .failed(code: "HANDLER_ERROR", data: (try? Payload(["message": "\(error)"])) ?? .empty)
            }
        }
        return await execution.value(of: work) { lanes.callbacks.start { work.cancel() } }
    }

    private func report(_ outcome: TaskOutcome, of execution: Execution, _ trace: TraceContext?) async {
        let final: TaskOutcome
        switch execution.ending {
        case .leaseLost: return
        case .cancelled: final = .cancelled
        case nil: final = outcome
        }
        let lease = execution.lease
        do throws(Status) {
            try await reporter.report(SiloV1.ReportOutcomeRequest(final, of: lease, for: trace))
        } catch {
            tell(WorkerError(doing: .reporting, lease, ClientError(error, job: lease.jobID ?? "")))
            guard error.refusesContent else { return }
            // The attempt fails with the reason, and not as if the worker had died.
            let data = (try? Payload(["message": "\(error)"])) ?? .empty
            let request = SiloV1.ReportOutcomeRequest(.failed(code: "OUTCOME_REFUSED", data: data), of: lease, for: trace)
            do throws(Status) { try await reporter.report(request) } catch {
                tell(WorkerError(doing: .reporting, lease, ClientError(error, job: lease.jobID ?? "")))
            }
        }
    }
}

extension SiloV1.ReportOutcomeRequest {
    init(_ outcome: TaskOutcome, of lease: Lease, for trace: TraceContext? = nil) {
        self.init()
        (traceparent, tracestate) = (trace?.header ?? "", trace?.state ?? "")
        shard = lease.shard
        taskId = lease.taskID
        tenantId = lease.tenant
        switch outcome {
        case .succeeded(let payload): self.outcome = .success(payload.message)
        case .cancelled: self.outcome = .cancelled(SiloV1.Cancelled())
        case .failed(let code, let data):
            var failure = SiloV1.Failure()
            failure.code = code
            failure.data = data.message
            self.outcome = .failure(failure)
        }
    }
}

extension Status {
    /// What was sent breaks a bound: something smaller may be taken.
    fileprivate var refusesContent: Bool { code == .invalidArgument || code == .outOfRange || isTooLarge }
}
