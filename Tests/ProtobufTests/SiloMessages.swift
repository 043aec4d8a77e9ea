import Protobuf
import SiloAPI

/// Every message of `silo.v1`. A test compares this with the schema.
let siloMessages: [any Message.Type] = [
    SiloV1.SerializedBytes.self, SiloV1.RetryPolicy.self, SiloV1.ConcurrencyLimit.self,
    SiloV1.FloatingConcurrencyLimit.self, SiloV1.RateLimitRetryPolicy.self, SiloV1.GubernatorRateLimit.self,
    SiloV1.Limit.self, SiloV1.EnqueueRequest.self, SiloV1.EnqueueResponse.self, SiloV1.EnqueueBatchRequest.self,
    SiloV1.EnqueueBatchResponse.self, SiloV1.EnqueueResult.self, SiloV1.GetJobRequest.self, SiloV1.JobAttempt.self,
    SiloV1.GetJobResponse.self, SiloV1.GetJobResultRequest.self, SiloV1.GetJobResultResponse.self,
    SiloV1.JobFailure.self, SiloV1.JobCancelled.self, SiloV1.DeleteJobRequest.self, SiloV1.DeleteJobResponse.self,
    SiloV1.CancelJobRequest.self, SiloV1.CancelJobResponse.self, SiloV1.RestartJobRequest.self,
    SiloV1.RestartJobResponse.self, SiloV1.ExpediteJobRequest.self, SiloV1.ExpediteJobResponse.self,
    SiloV1.DropTenantHoldersRequest.self, SiloV1.DropTenantHoldersResponse.self, SiloV1.ImportAttempt.self,
    SiloV1.ImportJobRequest.self, SiloV1.ImportJobsRequest.self, SiloV1.ImportJobResult.self,
    SiloV1.ImportJobsResponse.self, SiloV1.ExplainJobRequest.self, SiloV1.ExplainJobResponse.self, SiloV1.Obstacle.self,
    SiloV1.LimitHolder.self, SiloV1.PauseTarget.self, SiloV1.PauseRequest.self, SiloV1.PauseResponse.self,
    SiloV1.ResumeRequest.self, SiloV1.ResumeResponse.self, SiloV1.ListPausesRequest.self, SiloV1.PauseInfo.self,
    SiloV1.ListPausesResponse.self, SiloV1.LeaseTaskRequest.self, SiloV1.LeaseTaskResponse.self,
    SiloV1.LeaseTasksRequest.self, SiloV1.LeaseTasksResponse.self, SiloV1.Task.self,
    SiloV1.RefreshFloatingLimitTask.self, SiloV1.ReportOutcomeRequest.self, SiloV1.Failure.self,
    SiloV1.Cancelled.self, SiloV1.ReportOutcomeResponse.self, SiloV1.ReportOutcomesRequest.self,
    SiloV1.ReportOutcomesResponse.self, SiloV1.OutcomeResult.self, SiloV1.ReportRefreshOutcomeRequest.self,
    SiloV1.RefreshSuccess.self, SiloV1.RefreshFailure.self, SiloV1.ReportRefreshOutcomeResponse.self,
    SiloV1.HeartbeatRequest.self, SiloV1.HeartbeatResponse.self, SiloV1.QueryNull.self, SiloV1.QueryParameter.self,
    SiloV1.QueryRequest.self, SiloV1.ColumnInfo.self, SiloV1.QueryResponse.self, SiloV1.QueryArrowRequest.self,
    SiloV1.ArrowIpcMessage.self, SiloV1.GetClusterInfoRequest.self, SiloV1.ShardOwner.self, SiloV1.ClusterMember.self,
    SiloV1.GetClusterInfoResponse.self, SiloV1.GetNodeInfoRequest.self, SiloV1.OwnedShardInfo.self,
    SiloV1.GetNodeInfoResponse.self, SiloV1.RequestSplitRequest.self, SiloV1.RequestSplitResponse.self,
    SiloV1.GetSplitStatusRequest.self, SiloV1.GetSplitStatusResponse.self, SiloV1.ConfigureShardRequest.self,
    SiloV1.ConfigureShardResponse.self, SiloV1.ResetShardsRequest.self, SiloV1.ResetShardsResponse.self,
    SiloV1.ForceReleaseShardRequest.self, SiloV1.ForceReleaseShardResponse.self, SiloV1.CompactShardRequest.self,
    SiloV1.CompactShardResponse.self, SiloV1.FlushShardRequest.self, SiloV1.FlushShardResponse.self,
    SiloV1.GetShardStorageInfoRequest.self, SiloV1.SortedRunInfo.self, SiloV1.GetShardStorageInfoResponse.self,
    SiloV1.CpuProfileRequest.self, SiloV1.CpuProfileResponse.self, SiloV1.HeapProfileRequest.self,
    SiloV1.HeapProfileResponse.self, SiloV1.DumpTasksRequest.self, SiloV1.DumpTasksResponse.self,
]

/// What a stranger can send to the server.
let siloRequests = siloMessages.filter { $0.messageName.hasSuffix("Request") }
