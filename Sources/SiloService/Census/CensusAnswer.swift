import SiloAPI
import SiloCore
import SiloEngine

extension SiloV1.TenantInfo {
    init(_ entry: TenantCensus.Entry, _ order: TenantCensus.Order) {
        self.init()
        tenant = entry.tenant.name
        scheduled = UInt64(clamping: entry.jobs.scheduled)
        waiting = UInt64(clamping: entry.jobs.waiting)
        ready = UInt64(clamping: entry.jobs.ready)
        running = UInt64(clamping: entry.jobs.running)
        succeeded = UInt64(clamping: entry.jobs.succeeded)
        failed = UInt64(clamping: entry.jobs.failed)
        cancelled = UInt64(clamping: entry.jobs.cancelled)
        endedInMinute = UInt64(clamping: entry.ended)
        failedInMinute = UInt64(clamping: entry.failed)
        orderValue = entry.value(order)
    }
}

extension SiloV1.LimitInfo {
    init(_ entry: LimitCensus.Entry, _ order: LimitCensus.Order, shard: String) {
        self.init()
        tenant = entry.tenant.name
        key = entry.key
        switch entry.kind {
        case .concurrency: kind = .concurrency
        case .floating: kind = .floating
        case .rate: kind = .rate
        }
        maximum = entry.maximum
        held = entry.held
        waiting = entry.waiting
        refusals = entry.refusals
        isPaused = entry.isPaused
        nextRoomMs = entry.nextRoom?.milliseconds
        windowMs = entry.windowMilliseconds
        isLeaky = entry.isLeaky
        history = entry.history.map { past in
            var maximum = SiloV1.LimitMaximum()
            maximum.atMs = past.at.milliseconds
            maximum.maximum = past.maximum
            return maximum
        }
        nextRefreshMs = entry.nextRefresh?.milliseconds
        orderValue = entry.value(order)
        self.shard = shard
    }
}

extension SiloV1.LimitWaiter {
    init(_ job: LinesAtLimit.Job) {
        self.init()
        jobId = job.id.text
        taskGroup = job.group.text
        priority = job.priority
        sinceMs = job.since.milliseconds
    }
}

extension SiloV1.WorkerInfo {
    /// - Parameters:
    ///   - known: nil: nobody of that name asked for work lately.
    ///   - held: nil: it holds nothing.
    init(_ id: String, _ known: WorkerRegistry.Worker?, _ held: LeaseCensus.Sum?) {
        self.init()
        workerId = id
        if let known {
            host = known.host
            version = known.version
            peer = known.peer
            firstHeardMs = known.first.milliseconds
            lastHeardMs = known.last.milliseconds
            isQuiet = known.quietSince != nil
            quietSinceMs = known.quietSince?.milliseconds
            groups = known.groups.sorted { $0.key < $1.key }.map { name, asked in
                var group = SiloV1.WorkerGroup()
                group.taskGroup = name.text
                group.firstPollMs = asked.first.milliseconds
                group.lastPollMs = asked.last.milliseconds
                group.polls = asked.polls
                group.tasks = asked.tasks
                return group
            }
        }
        leases = UInt64(clamping: held?.count ?? 0)
        oldestLeaseMs = held?.oldest.milliseconds
    }
}

extension SiloV1.WorkerLease {
    init(_ held: LeaseCensus.Held, shard: String) {
        self.init()
        self.shard = shard
        tenant = held.tenant.name
        jobId = held.job.text
        taskGroup = held.group.text
        attempt = held.attempt
        startedAtMs = held.startedAt.milliseconds
        isCancelled = held.isCancelled
    }
}

extension LeaseCensus.Sum {
    func adding(_ other: Self) -> Self {
        var sum = self
        sum.count += other.count
        sum.oldest = min(oldest, other.oldest)
        return sum
    }
}
