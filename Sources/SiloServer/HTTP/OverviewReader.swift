import SiloAPI
import SiloCore
import SiloService
import SiloWeb

/// What the web page shows of this moment, for callers of the API.
struct OverviewReader: NodeOverview {
    let metrics: NodeMetrics?
    let parts: NodeParts
    let version: String
    let startedAt: Timestamp
    let clock: any Clock

    func read() -> SiloV1.GetOverviewResponse {
        let figures = FiguresReader(metrics: metrics, parts: parts).read()
        var response = SiloV1.GetOverviewResponse()
        response.nodeId = figures.node.name
        response.version = version
        response.startedAtMs = startedAt.milliseconds
        response.steadyMs = clock.steady.milliseconds
        response.durability = figures.node.durability
        response.isMeasured = metrics != nil
        response.enqueued = figures.enqueued
        response.started = figures.started
        response.succeeded = figures.succeeded
        response.failed = figures.failed
        response.cancelled = figures.cancelled
        response.boundsMs = figures.bounds
        response.readyToStart = figures.readyToStart
        response.runTime = figures.runTime
        response.jobs = SiloV1.OverviewJobs(figures.jobs)
        response.oldestReadyMs = figures.oldestReadyMilliseconds
        response.groups = figures.groups.sorted { $0.name < $1.name }.map { SiloV1.OverviewGroup($0) }
        response.shards = figures.shards.map { SiloV1.OverviewShard($0) }
        response.refusesJobs = figures.node.refusesJobs
        response.freeBytes = figures.node.freeBytes
        response.dataBytes = figures.node.dataBytes
        return response
    }
}

extension SiloV1.OverviewJobs {
    fileprivate init(_ jobs: Figures.Jobs) {
        self.init()
        scheduled = jobs.scheduled
        waiting = jobs.waiting
        ready = jobs.ready
        running = jobs.running
    }
}

extension SiloV1.OverviewGroup {
    fileprivate init(_ group: Figures.Group) {
        self.init()
        taskGroup = group.name
        jobs = SiloV1.OverviewJobs(group.jobs)
        oldestReadyMs = group.oldestReadyMilliseconds
        started = group.started
        ended = group.ended
    }
}

extension SiloV1.OverviewShard {
    fileprivate init(_ shard: Figures.Shard) {
        self.init()
        shardId = shard.id
        trouble = shard.trouble ?? ""
        jobs = shard.jobs
        finished = shard.finished
        leases = UInt64(clamping: shard.leases)
        waitingWorkers = UInt64(clamping: shard.waitingWorkers)
        oldestRequestMs = shard.oldestRequestMilliseconds
        flushMs = shard.flushMilliseconds
        wrongSlots = UInt64(clamping: shard.wrongSlots)
        mended = UInt64(clamping: shard.mended)
        audits = UInt64(clamping: shard.audits)
    }
}
