import SiloAPI
import SiloService

extension MethodTable {
    /// Every method of `silo.v1.Silo`, the operation behind it, and what makes its answer a message where it is none.
    mutating func serve(_ operations: Operations, for callers: Gate) {
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

        serve(SiloV1.Silo.query, for: callers, operations.queries.query)
        serveStream(SiloV1.Silo.queryArrow, for: callers, operations.queries.queryArrow)
        serve(SiloV1.Silo.listJobs, for: callers, operations.lists.listJobs)
        serve(SiloV1.Silo.getSchedule, for: callers, operations.lists.getSchedule)

        serve(SiloV1.Silo.startBulkAction, for: callers, operations.bulk.startBulkAction)
        serve(SiloV1.Silo.getBulkAction, for: callers, operations.bulk.getBulkAction)
        serve(SiloV1.Silo.listBulkActions, for: callers, operations.bulk.listBulkActions)
        serve(SiloV1.Silo.cancelBulkAction, for: callers, operations.bulk.cancelBulkAction)

        let workers = operations.workers
        serve(SiloV1.Silo.leaseTask, for: callers, workers.leaseTask)
        serve(SiloV1.Silo.leaseTasks, for: callers, workers.leaseTasks)
        serve(SiloV1.Silo.heartbeat, for: callers, workers.heartbeat)
        serve(SiloV1.Silo.reportOutcome, for: callers, workers.reportOutcome)
        serve(SiloV1.Silo.reportOutcomes, for: callers, workers.reportOutcomes) { SiloV1.ReportOutcomesResponse($0) }
        serve(SiloV1.Silo.reportRefreshOutcome, for: callers, workers.reportRefreshOutcome)

        serve(SiloV1.Silo.explainJob, for: callers, operations.limits.explainJob)
        serve(SiloV1.Silo.dropTenantHolders, for: callers, operations.limits.dropTenantHolders)
        serve(SiloV1.Silo.dropLimitHolders, for: callers, operations.limits.dropLimitHolders)
        serve(SiloV1.Silo.dropTenant, for: callers, operations.tenants.dropTenant)
        serve(SiloV1.Silo.getTenantDrop, for: callers, operations.tenants.getTenantDrop)
        serve(SiloV1.Silo.pause, for: callers, operations.pauses.pause)
        serve(SiloV1.Silo.resume, for: callers, operations.pauses.resume)
        serve(SiloV1.Silo.listPauses, for: callers, operations.pauses.listPauses)

        serve(SiloV1.Silo.listTenants, for: callers, operations.census.listTenants)
        serve(SiloV1.Silo.listLimits, for: callers, operations.census.listLimits)
        serve(SiloV1.Silo.listWorkers, for: callers, operations.census.listWorkers)
        serve(SiloV1.Silo.quietWorker, for: callers, operations.census.quietWorker)

        serve(SiloV1.Silo.getClusterInfo, for: callers, operations.cluster.getClusterInfo)
        serve(SiloV1.Silo.getNodeInfo, for: callers, operations.cluster.getNodeInfo)
        serve(SiloV1.Silo.getOverview, for: callers, operations.cluster.getOverview)
        serve(SiloV1.Silo.resetShards, for: callers, operations.admin.resetShards)
        serve(SiloV1.Silo.compactShard, for: callers, operations.admin.compactShard)
        serve(SiloV1.Silo.flushShard, for: callers, operations.admin.flushShard)
        serve(SiloV1.Silo.getShardStorageInfo, for: callers, operations.admin.getShardStorageInfo)

        serve(SiloV1.Silo.cpuProfile, for: callers, operations.diagnostics.cpuProfile)
        serve(SiloV1.Silo.heapProfile, for: callers, operations.diagnostics.heapProfile)
        serve(SiloV1.Silo.dumpTasks, for: callers, operations.diagnostics.dumpTasks)
        serve(SiloV1.Silo.setLogFilter, for: callers, operations.diagnostics.setLogFilter)
        serve(SiloV1.Silo.getConfiguration, for: callers, operations.configuration.getConfiguration)
        serve(SiloV1.Silo.listAuditEntries, for: callers, operations.audit.listAuditEntries)
    }
}
