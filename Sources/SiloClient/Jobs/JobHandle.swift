import GRPC
import SiloAPI
import SiloCore

/// One job, wherever it is in its life.
public struct JobHandle: Sendable {
    public let id: String
    public let tenant: String?
    let client: Client

    init(id: String, tenant: String?, client: Client) {
        self.id = id
        self.tenant = tenant
        self.client = client
    }

    /// The job as it is now. Throws `.jobNotFound`.
    ///
    /// Attempts that do not fit into one answer are asked for until all are there; an attempt may end meanwhile.
    public func info(attempts: Bool = false) async throws(ClientError) -> JobInfo {
        var job = try await read { $0.includeAttempts = attempts }
        while let next = job.nextAttempt {
            let part = try await read { request in
                request.includeAttempts = true
                request.attemptsFrom = next
                request.omitPayload = true
            }
            job.attempts += part.attempts
            job.nextAttempt = part.nextAttempt
        }
        return JobInfo(job)
    }

    public func status() async throws(ClientError) -> JobStatus { JobStatus(try await read { $0.omitPayload = true }.status) }

    /// As much of the job as fits into an answer. Its result is among its attempts, or asked for by itself.
    private func read(_ ask: (inout SiloV1.GetJobRequest) -> Void) async throws(ClientError) -> SiloV1.GetJobResponse {
        var request = SiloV1.GetJobRequest()
        request.omitResult = true
        request.answerBytesMax = .max
        ask(&request)
        return try await client.send(SiloV1.Silo.getJob, self, request)
    }

    /// How the job ended. Throws `.jobNotFinished`.
    public func result() async throws(ClientError) -> JobResult {
        JobResult(try await client.send(SiloV1.Silo.getJobResult, self))
    }

    /// Waits until the job has ended, looking every `interval`. Throws `.timedOut` after `timeout`; nil waits for ever.
    public func awaitResult(every interval: Duration = .milliseconds(500), timeout: Duration? = nil) async throws(ClientError)
        -> JobResult
    {
        let clock = client.environment.clock
        let begun = clock.steady
        while true {
            do throws(ClientError) {
                return try await result()
            } catch {
                guard case .jobNotFinished = error else { throw error }
            }
            if let timeout, clock.steady - begun >= timeout.milliseconds {
                throw .timedOut("job \(id) has not ended within \(timeout)")
            }
            do { try await clock.sleep(milliseconds: interval.milliseconds) } catch {
                throw .other(Status(.cancelled, "the caller was cancelled"))
            }
        }
    }

    /// Ends the job for good: no attempt starts after it. A running one is told to stop. Throws `.refused` when it is cancelled
    /// or finished already.
    public func cancel() async throws(ClientError) {
        _ = try await client.send(SiloV1.Silo.cancelJob, self)
    }

    /// Runs a failed or cancelled job again, with all its retries.
    public func restart() async throws(ClientError) {
        _ = try await client.send(SiloV1.Silo.restartJob, self)
    }

    /// Starts now what waits for a later time.
    public func expedite() async throws(ClientError) {
        _ = try await client.send(SiloV1.Silo.expediteJob, self)
    }

    /// Erases a finished job. One that is not there is erased already.
    public func delete() async throws(ClientError) {
        _ = try await client.send(SiloV1.Silo.deleteJob, self)
    }
}
