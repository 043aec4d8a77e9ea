public import Foundation
import SiloAPI

/// What became of a job so far.
public enum JobStatus: String, Sendable, Codable {
    case scheduled, running, succeeded, failed, cancelled

    public var isFinished: Bool { self != .scheduled && self != .running }

    init(_ status: SiloV1.JobStatus) {
        switch status {
        case .running: self = .running
        case .succeeded: self = .succeeded
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        default: self = .scheduled
        }
    }
}

/// A job as the server knows it.
public struct JobInfo: Sendable {
    public let id: String
    public let group: String
    public let priority: UInt32
    public let status: JobStatus
    public let statusChangedAt: Date
    public let payload: Payload
    public let limits: [JobLimit]
    public let metadata: JobMetadata
    /// How long it is kept after it has finished; nil: as the server's settings say.
    public let retention: Duration?
    /// When the next attempt may start; nil when none is waiting.
    public let nextAttemptAt: Date?
    /// Only when asked for, oldest first.
    public let attempts: [JobAttempt]

    init(_ response: SiloV1.GetJobResponse) {
        id = response.id
        group = response.taskGroup
        priority = response.priority
        status = JobStatus(response.status)
        statusChangedAt = Date(milliseconds: response.statusChangedAtMs)
        payload = Payload(response.payload)
        limits = response.limits.compactMap(JobLimit.init)
        metadata = JobMetadata(response.metadata)
        retention = response.retainMs > 0 ? .milliseconds(response.retainMs) : nil
        nextAttemptAt = response.nextAttemptStartsAfterMs.map(Date.init(milliseconds:))
        attempts = response.attempts.map(JobAttempt.init)
    }
}

/// One try at a job.
public struct JobAttempt: Sendable {
    public enum Outcome: Sendable, Equatable {
        case running
        case succeeded(Payload)
        case failed(code: String, data: Payload)
        case cancelled
    }
    /// From 1, growing through the job's life.
    public let number: UInt32
    public let startedAt: Date
    public let finishedAt: Date?
    public let outcome: Outcome

    init(_ attempt: SiloV1.JobAttempt) {
        number = attempt.attemptNumber
        startedAt = Date(milliseconds: attempt.startedAtMs)
        finishedAt = attempt.finishedAtMs.map(Date.init(milliseconds:))
        switch attempt.status {
        case .succeeded: outcome = .succeeded(Payload(attempt.result))
        case .failed: outcome = .failed(code: attempt.errorCode ?? "", data: Payload(attempt.errorData))
        case .cancelled: outcome = .cancelled
        default: outcome = .running
        }
    }
}

/// How a finished job ended.
public enum JobResult: Sendable, Equatable {
    case succeeded(Payload)
    case failed(code: String, data: Payload)
    case cancelled

    init(_ response: SiloV1.GetJobResultResponse) {
        switch response.result {
        case .successData(let data): self = .succeeded(Payload(data))
        case .failure(let failure): self = .failed(code: failure.errorCode, data: Payload(failure.errorData))
        case .cancelled, nil: self = .cancelled
        }
    }
}

extension Payload {
    init(_ message: SiloV1.SerializedBytes?) {
        if case .msgpack(let bytes) = message?.encoding { self.init(bytes: bytes) } else { self = .empty }
    }

    var message: SiloV1.SerializedBytes {
        var message = SiloV1.SerializedBytes()
        message.encoding = .msgpack(bytes)
        return message
    }
}

extension Date {
    init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }

    /// Since the Unix epoch; what does not fit saturates.
    var milliseconds: Int64 {
        let value = (timeIntervalSince1970 * 1000).rounded()
        return Int64(exactly: value) ?? (value < 0 ? .min : .max)
    }
}
