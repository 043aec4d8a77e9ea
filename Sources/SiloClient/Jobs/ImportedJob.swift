public import Foundation
import GRPC
import SiloAPI
import SiloCore

/// A job that ran, or waited, somewhere else, with what became of it there.
public struct ImportedJob: Sendable {
    /// Names the job within its tenant. When it is stored already, the attempts that it does not have are added.
    public var id: String
    /// What else there is to it. Its own `id` means nothing; `startAt` is of the attempt that is still to run, if one is.
    public var job: NewJob
    /// Nil: now.
    public var enqueuedAt: Date?
    /// Those that ended, oldest first. All but the last must have failed. When the last failed too and the job's policy has
    /// retries left, or when there are none, an attempt is to run.
    public var attempts: [Attempt]

    public init(id: String, _ job: NewJob, enqueuedAt: Date? = nil, attempts: [Attempt] = []) {
        self.id = id
        self.job = job
        self.enqueuedAt = enqueuedAt
        self.attempts = attempts
    }

    /// An attempt that ended.
    public struct Attempt: Sendable, Equatable {
        public var startedAt: Date
        public var finishedAt: Date
        public var outcome: JobResult

        public init(startedAt: Date, finishedAt: Date, _ outcome: JobResult) {
            self.startedAt = startedAt
            self.finishedAt = finishedAt
            self.outcome = outcome
        }
    }
}

extension Client {
    /// Stores jobs that ran elsewhere, each on its own: as many calls as their shards and sizes need, the shards side by side. On
    /// return those that succeeded are durable.
    ///
    /// It can be repeated, also by the client itself after a lost answer: a job that has all of its attempts already is then
    /// refused and stays as it is.
    /// - Returns: in the jobs' order, the status that each is in now, or why it was refused.
    public func importJobs(_ jobs: [ImportedJob]) async throws(ClientError) -> [Result<JobStatus, ClientError>] {
        await router.spread(
            jobs, within: Enqueuer.bounds, tenant: \.job.tenant, weight: { $0.weight },
            unsent: { job, status in .failure(ClientError(status, job: job.id)) },
            send: { jobs, shard in await self.importJobs(jobs, to: shard) }
        )
    }

    /// One call.
    private func importJobs(_ jobs: [ImportedJob], to target: Target) async -> [Result<JobStatus, ClientError>] {
        do throws(Status) {
            let response = try await router.run(target) { shard, address, _ throws(Status) in
                var request = SiloV1.ImportJobsRequest()
                request.jobs = jobs.map { $0.request(shard: shard) }
                let response = try await router.call(SiloV1.Silo.importJobs, request, at: address)
                guard response.results.count == jobs.count else {
                    throw Status(.internalError, "the answer has \(response.results.count) results for \(jobs.count) jobs")
                }
                let refusals = response.results.map(\.refusal)
                // They are of one shard: when it has moved, or cannot be reached now, it takes none of them.
                if let first = refusals.first ?? nil, refusals.allSatisfy({ $0?.isWorthAnotherTry ?? false }) { throw first }
                return response
            }
            return zip(jobs, response.results).map { job, result in
                result.refusal.map { .failure(ClientError($0, job: job.id)) } ?? .success(JobStatus(result.status))
            }
        } catch {
            return jobs.map { job in
                var error = error
                // The answer when all of them run; it names but the first.
                if jobs.count > 1, error.message.hasPrefix("cannot reimport job") {
                    error.message = "cannot reimport job \(job.id): job is currently running"
                }
                return .failure(ClientError(error, job: job.id))
            }
        }
    }
}

extension ImportedJob {
    /// Bytes on the wire, or a little more.
    fileprivate var weight: Int {
        attempts.reduce(job.weight + id.utf8.count) { bytes, attempt in
            switch attempt.outcome {
            case .succeeded(let payload): bytes + payload.bytes.count + 64
            case .failed(let code, let payload): bytes + payload.bytes.count + code.utf8.count + 64
            case .cancelled: bytes + 64
            }
        }
    }

    fileprivate func request(shard: String) -> SiloV1.ImportJobRequest {
        var request = SiloV1.ImportJobRequest()
        request.shard = shard
        request.id = id
        request.priority = job.priority
        request.enqueueTimeMs = enqueuedAt?.milliseconds ?? 0
        request.startAtMs = job.startAt?.milliseconds ?? 0
        request.retryPolicy = job.retry.map(SiloV1.RetryPolicy.init)
        request.payload = job.payload.message
        request.limits = job.limits.map(SiloV1.Limit.init)
        request.tenant = job.tenant
        request.metadata = job.metadata.message
        request.taskGroup = job.group
        request.retainMs = job.retention.map { max(1, $0.milliseconds) } ?? 0
        request.attempts = attempts.map { attempt in
            var message = SiloV1.ImportAttempt()
            message.startedAtMs = attempt.startedAt.milliseconds
            message.finishedAtMs = attempt.finishedAt.milliseconds
            switch attempt.outcome {
            case .succeeded(let result):
                message.status = .succeeded
                message.result = result.message
            case .failed(let code, let data):
                message.status = .failed
                message.errorCode = code
                message.errorData = data.message
            case .cancelled:
                message.status = .cancelled
            }
            return message
        }
        return request
    }
}

extension SiloV1.ImportJobResult {
    fileprivate var refusal: Status? { success ? nil : Status(refusal: error ?? "") }
}

extension Status {
    /// Why one job of an import was refused: the code's name, however it is spelled, a colon, and the message.
    fileprivate init(refusal text: String) {
        let parts = text.split(separator: ": ", maxSplits: 1).map(String.init)
        let name = (parts.first ?? "").lowercased().filter(\.isLetter)
        let code = Code.allCases.first { "\($0)".lowercased().filter(\.isLetter) == name }
        if let code, code != .ok, parts.count == 2 {
            self.init(code, parts[1])
        } else {
            self.init(text.contains("shard not found") ? .notFound : .failedPrecondition, text)
        }
    }
}
