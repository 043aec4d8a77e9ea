import Protobuf
import SiloAPI

/// A request about one job.
protocol JobRequest: Message {
    var shard: String { get set }
    var id: String { get set }
    var tenant: String? { get set }
}

extension SiloV1.GetJobRequest: JobRequest {}
extension SiloV1.GetJobResultRequest: JobRequest {}
extension SiloV1.CancelJobRequest: JobRequest {}
extension SiloV1.RestartJobRequest: JobRequest {}
extension SiloV1.ExpediteJobRequest: JobRequest {}
extension SiloV1.DeleteJobRequest: JobRequest {}
extension SiloV1.ExplainJobRequest: JobRequest {}
