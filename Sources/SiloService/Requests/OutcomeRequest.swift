import Protobuf
import SiloAPI
import SiloCore
import SiloEngine

extension SiloV1.ReportOutcomeRequest {
    /// The command that this request asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(SiloError) -> ReportOutcome {
        let reported: ReportOutcome.Outcome
        switch outcome {
        case .success(let result):
            let bytes = SiloV1.SerializedBytes?(result).bytes
            try Bounds.checkPayload(bytes, "success")
            reported = .success(result: bytes)
        case .failure(let failure):
            try Bounds.checkText(failure.code, Bounds.errorCodeBytesMax, "failure.code")
            try Bounds.checkPayload(failure.data.bytes, "failure.data")
            reported = .failure(code: failure.code, data: failure.data.bytes)
        case .cancelled: reported = .cancelled
        case nil: throw .invalidArgument("missing outcome")
        }
        return ReportOutcome(tenant: tenant, task: try TaskID(checking: taskId), outcome: reported)
    }
}

extension SiloV1.ReportRefreshOutcomeRequest {
    /// The command that this request asks for.
    func command(_ tenant: Tenant) throws(SiloError) -> ReportRefresh {
        let reported: ReportRefresh.Outcome
        switch outcome {
        case .success(let success): reported = .success(newMax: success.newMaxConcurrency)
        case .failure(let failure):
            try Bounds.checkText(failure.code, Bounds.errorCodeBytesMax, "failure.code")
            try Bounds.checkText(failure.message, Bounds.refreshMessageBytesMax, "failure.message")
            reported = .failure
        case nil: throw .invalidArgument("missing outcome")
        }
        return ReportRefresh(tenant: tenant, task: try TaskID(checking: taskId), outcome: reported)
    }
}

extension TaskID {
    /// A task that a request names. What is no UUID names no lease.
    init(checking text: String) throws(SiloError) {
        guard let uuid = UUID(text) else { throw .leaseNotFound }
        self.init(uuid)
    }
}
