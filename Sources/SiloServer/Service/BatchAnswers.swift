import GRPC
import SiloAPI
import SiloCore
import SiloService

// The answers of batches, whose entries carry codes and messages of their own.

/// What came of each entry of a batch.
protocol BatchAnswer {
    /// Of those that were refused, in their order.
    var refusals: [SiloError] { get }
}

/// What came of one.
protocol BatchEntry {
    var refusal: SiloError? { get }
}

extension Result: BatchEntry where Failure == SiloError {}
extension ReportedOutcome: BatchEntry {}
extension ImportedJob: BatchEntry {
    var refusal: SiloError? { result.refusal }
}
extension Array: BatchAnswer where Element: BatchEntry {
    var refusals: [SiloError] { compactMap(\.refusal) }
}

extension SiloV1.EnqueueBatchResponse {
    init(_ answer: [Result<JobID, SiloError>]) {
        self.init()
        results = answer.map { result in
            var entry = SiloV1.EnqueueResult()
            switch result {
            case .success(let id): entry.id = id.text
            case .failure(let error):
                let status = Status(error)
                entry.code = status.code.rawValue
                entry.error = status.shortened.message
            }
            return entry
        }
    }
}

extension SiloV1.ReportOutcomesResponse {
    init(_ answer: [ReportedOutcome]) {
        self.init()
        results = answer.map { outcome in
            var entry = SiloV1.OutcomeResult()
            entry.taskId = outcome.task
            if let status = outcome.refusal.map(Status.init) {
                entry.code = status.code.rawValue
                entry.error = status.shortened.message
            }
            return entry
        }
    }
}

extension SiloV1.ImportJobsResponse {
    init(_ answer: [ImportedJob]) {
        self.init()
        results = answer.map { job in
            var entry = SiloV1.ImportJobResult()
            entry.id = job.id
            switch job.result {
            case .success(let status):
                entry.success = true
                entry.status = SiloV1.JobStatus(status)
            case .failure(let error):
                let status = Status(error)
                entry.status = .failed
                entry.error = "\(status.code): \(status.shortened.message)"
            }
            return entry
        }
    }
}
