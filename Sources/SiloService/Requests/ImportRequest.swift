import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

extension SiloV1.ImportJobRequest {
    /// The command that this entry asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(SiloError) -> Import {
        guard !id.isEmpty else { throw .invalidArgument("job id is required for import") }
        let id = try JobID(checking: id)
        try Bounds.checkTaskGroup(taskGroup)
        try Bounds.checkPriority(priority)
        try Bounds.checkMetadata(metadata)
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        try Bounds.checkPayload(payload.bytes, "payload")
        try Bounds.checkRetention(retainMs)
        var records: [StorageV1.Attempt] = []
        records.reserveCapacity(attempts.count)
        for (index, attempt) in attempts.enumerated() { records.append(try attempt.record(index)) }
        return Import(
            tenant: tenant, id: id, priority: priority, enqueueTimeMs: enqueueTimeMs, startAtMs: startAtMs, retryPolicy: policy,
            payload: payload.bytes, limits: limits, metadata: metadata, taskGroup: taskGroup,
            retainMs: retainMs, attempts: records
        )
    }
}

extension SiloV1.ImportAttempt {
    fileprivate func record(_ index: Int) throws(SiloError) -> StorageV1.Attempt {
        var record = StorageV1.Attempt()
        switch status {
        case .succeeded:
            record.outcome = .succeeded
            try Bounds.checkPayload(result.bytes, "attempts[\(index)].result")
            record.result = result.bytes
        case .failed:
            record.outcome = .failed
            try Bounds.checkText(errorCode ?? "", Bounds.errorCodeBytesMax, "attempts[\(index)].error_code")
            try Bounds.checkPayload(errorData.bytes, "attempts[\(index)].error_data")
            record.errorCode = errorCode ?? ""
            record.errorData = errorData.bytes
        case .cancelled:
            record.outcome = .cancelled
        case .running:
            throw .invalidArgument("import attempts must be terminal (not Running)")
        default:
            throw .invalidArgument("invalid attempt status")
        }
        record.startedAtMs = startedAtMs
        record.finishedAtMs = finishedAtMs
        return record
    }
}
