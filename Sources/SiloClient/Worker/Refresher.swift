import GRPC
import SiloAPI
import SiloCore

/// Finds new maxima for floating limits: runs the worker's refresh handler, keeps its lease, and reports what came of it.
/// Refreshes take no slot of the worker's jobs.
final class Refresher: Sendable {
    typealias Handler = @Sendable (RefreshContext) async throws -> UInt32

    private let client: Client
    private let workerID: String
    private let options: WorkerOptions
    private let handler: Handler?
    /// Counts those that run; it refuses none.
    private let running = Slots(.max)

    init(_ client: Client, workerID: String, _ options: WorkerOptions, _ handler: Handler?) {
        self.client = client
        self.workerID = workerID
        self.options = options
        self.handler = handler
    }

    func start(_ task: SiloV1.RefreshFloatingLimitTask) {
        running.take()
        // Ends by itself; `drained` waits for it.
        client.surroundings.start { [self] in
            await refresh(task)
            running.free()
        }
    }

    /// Returns when none runs.
    func drained() async { await running.drained() }

    private func refresh(_ task: SiloV1.RefreshFloatingLimitTask) async {
        var request = SiloV1.ReportRefreshOutcomeRequest()
        request.shard = task.shard
        request.taskId = task.id
        request.tenantId = task.tenantId
        request.outcome = await outcome(of: task)
        let sent = request
        do throws(Status) {
            _ = try await client.retry.run(.shard(task.shard)) { _, address, tries throws(Status) in
                do throws(Status) {
                    _ = try await client.connections.call(SiloV1.Silo.reportRefreshOutcome, sent, at: address)
                } catch {
                    // An earlier send may have got through; if not, the server asks again.
                    guard tries > 0, error.code == .notFound, error.message.contains("lease not found") else { throw error }
                }
            }
        } catch {
            tell(task, ClientError(error))
        }
    }

    private func outcome(of task: SiloV1.RefreshFloatingLimitTask) async -> SiloV1.ReportRefreshOutcomeRequest.OneOfOutcome {
        guard let handler else {
            tell(task, .refused("the worker has no refresh handler: give Worker.init one"))
            return .failure(failure("NO_REFRESH_HANDLER", "worker \(workerID) has no refresh handler"))
        }
        let beating = client.surroundings.start { await self.keepLease(task) }
        defer { beating.cancel() }
        do {
            var success = SiloV1.RefreshSuccess()
            success.newMaxConcurrency = try await handler(RefreshContext(task))
            return .success(success)
        } catch {
            return .failure(failure("REFRESH_ERROR", "\(error)"))
        }
    }

    private func failure(_ code: String, _ text: String) -> SiloV1.RefreshFailure {
        var failure = SiloV1.RefreshFailure()
        failure.code = code
        failure.message = text
        return failure
    }

    /// Renews the lease until it is lost or the task is cancelled.
    private func keepLease(_ task: SiloV1.RefreshFloatingLimitTask) async {
        var request = SiloV1.HeartbeatRequest()
        request.shard = task.shard
        request.workerId = workerID
        request.taskId = task.id
        request.tenantId = task.tenantId
        let sent = request
        while (try? await client.surroundings.clock.sleep(milliseconds: options.heartbeatInterval.milliseconds)) != nil {
            do throws(Status) {
                _ = try await client.retry.run(.shard(task.shard)) { _, address, _ throws(Status) in
                    try await client.connections.call(SiloV1.Silo.heartbeat, sent, at: address)
                }
            } catch {
                return
            }
        }
    }

    private func tell(_ task: SiloV1.RefreshFloatingLimitTask, _ cause: ClientError) {
        options.onError(WorkerError(doing: .refreshing, taskID: task.id, jobID: nil, cause: cause))
    }
}
