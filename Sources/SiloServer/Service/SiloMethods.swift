import SiloAPI
import SiloService

extension MethodTable {
    /// Every method of `silo.v1.Silo`, the operation behind it, and what makes its answer a message where it is none.
    mutating func serve(_ operations: Operations, for callers: Callers) {
        let jobs = operations.jobs
        serve(SiloV1.Silo.enqueue, for: callers, jobs.enqueue)
        serve(SiloV1.Silo.enqueueBatch, for: callers, jobs.enqueueBatch) { SiloV1.EnqueueBatchResponse($0) }
        serve(SiloV1.Silo.getJob, for: callers, jobs.getJob)
        serve(SiloV1.Silo.getJobResult, for: callers, jobs.getJobResult)
        serve(SiloV1.Silo.deleteJob, for: callers, jobs.deleteJob)
        serve(SiloV1.Silo.cancelJob, for: callers, jobs.cancelJob)
        serve(SiloV1.Silo.restartJob, for: callers, jobs.restartJob)
        serve(SiloV1.Silo.expediteJob, for: callers, jobs.expediteJob)
        serve(SiloV1.Silo.importJobs, for: callers, operations.imports.importJobs) { SiloV1.ImportJobsResponse($0) }

        let workers = operations.workers
        serve(SiloV1.Silo.leaseTask, for: callers, workers.leaseTask)
        serve(SiloV1.Silo.leaseTasks, for: callers, workers.leaseTasks)
        serve(SiloV1.Silo.heartbeat, for: callers, workers.heartbeat)
        serve(SiloV1.Silo.reportOutcome, for: callers, workers.reportOutcome)
        serve(SiloV1.Silo.reportOutcomes, for: callers, workers.reportOutcomes) { SiloV1.ReportOutcomesResponse($0) }
        serve(SiloV1.Silo.reportRefreshOutcome, for: callers, workers.reportRefreshOutcome)

        serve(SiloV1.Silo.explainJob, for: callers, operations.limits.explainJob)
        serve(SiloV1.Silo.dropTenantHolders, for: callers, operations.limits.dropTenantHolders)
        serve(SiloV1.Silo.pause, for: callers, operations.pauses.pause)
        serve(SiloV1.Silo.resume, for: callers, operations.pauses.resume)
        serve(SiloV1.Silo.listPauses, for: callers, operations.pauses.listPauses)

        serve(SiloV1.Silo.getClusterInfo, for: callers, operations.cluster.getClusterInfo)
        serve(SiloV1.Silo.getNodeInfo, for: callers, operations.cluster.getNodeInfo)
        serve(SiloV1.Silo.resetShards, for: callers, operations.admin.resetShards)
        serve(SiloV1.Silo.compactShard, for: callers, operations.admin.compactShard)
        serve(SiloV1.Silo.flushShard, for: callers, operations.admin.flushShard)
        serve(SiloV1.Silo.getShardStorageInfo, for: callers, operations.admin.getShardStorageInfo)
    }
}
