import SiloCore
import SiloEngine
import SiloService
import SiloStore
import SiloTelemetry

/// How a shard stands when somebody looks. Asks none of its tasks, so a shard that hangs shows that it does.
struct ShardLevels {
    let host: any HostedShard
    let labels: MetricLabels
    let storage: StorageMetrics
    let debt: DebtMetrics

    func show(on page: inout MetricsPage) {
        guard case .serving(let shard, let store) = host.current else {
            return page.add(MetricNames.shardServing, labels, 0)
        }
        page.add(MetricNames.shardServing, labels, 1)
        show(shard.activity, on: &page)
        show(shard.counts, on: &page)
        show(shard.groups, at: shard.moment.wall, on: &page)
        page.add(MetricNames.bulkRunning, labels, shard.bulkCount)
        let (audits, last) = shard.audit
        page.add(MetricNames.audits, labels, audits)
        page.add(MetricNames.drift, labels, last.ghosts + last.missing + last.voidsOff)
        if let log = store as? LoggedStore { show(log.load, on: &page) }
        storage.show(of: store, on: &page)
        debt.show(on: &page)
    }

    private func show(_ activity: ShardActivity, on page: inout MetricsPage) {
        func seconds(since began: Timestamp?) -> Double { began.map { Double(max(0, activity.at.steady - $0)) / 1000 } ?? 0 }
        let mailbox = activity.mailbox
        for (lane, count) in [("own", mailbox.own), ("renewal", mailbox.renewals), ("ordinary", mailbox.ordinary)] {
            page.add(MetricNames.mailbox, labels.adding("lane", lane), count)
        }
        page.add(MetricNames.mailboxAge, labels, seconds(since: mailbox.oldest))
        page.add(MetricNames.inHand, labels, mailbox.inHand)
        page.add(MetricNames.inHandBytes, labels, mailbox.inHandBytes)
        page.add(MetricNames.turnAge, labels, seconds(since: activity.turnBegan))
        page.add(MetricNames.flushAge, labels, seconds(since: activity.flushBegan))
    }

    private func show(_ counts: ShardCounts, on page: inout MetricsPage) {
        page.add(MetricNames.waitingWorkers, labels, counts.waitingWorkers)
        page.add(MetricNames.queues, labels, counts.queues)
        page.add(MetricNames.windowed, labels, counts.windowedTasks)
        page.add(MetricNames.limits, labels.adding("kind", "concurrency"), counts.slotLimits)
        page.add(MetricNames.limits, labels.adding("kind", "rate"), counts.rateLimits)
        page.add(MetricNames.lines, labels, counts.lines)
        page.add(MetricNames.pauses, labels, counts.pauses)
        page.add(MetricNames.refreshes, labels, counts.refreshes)
    }

    private func show(_ groups: [TaskGroup: GroupLevel], at now: Timestamp, on page: inout MetricsPage) {
        for (group, level) in groups {
            let labels = labels.adding("task_group", group.text)
            page.add(MetricNames.leases, labels, level.jobs.running)
            let oldest = level.oldestReady.map { Double(max(0, now - $0)) / 1000 } ?? 0
            page.add(MetricNames.oldestReady, labels, oldest)
            page.add(MetricNames.pausedJobs, labels, level.paused)
            for (state, count) in level.jobs.byState { page.add(MetricNames.jobs, labels.adding("state", state), count) }
        }
    }

    private func show(_ load: LogLoad, on page: inout MetricsPage) {
        page.add(MetricNames.logSegments, labels, load.segments)
        page.add(MetricNames.overlayBytes, labels, load.overlayBytes)
        page.add(MetricNames.checkpoints, labels, load.checkpoints)
        page.add(MetricNames.checkpointRows, labels, load.checkpointRows)
        page.add(MetricNames.checkpointSeconds, labels, Double(load.checkpointMilliseconds) / 1000)
    }
}

extension JobCounts {
    fileprivate var byState: [(String, Int64)] {
        [
            ("scheduled", scheduled), ("waiting", waiting), ("ready", ready), ("running", running), ("succeeded", succeeded),
            ("failed", failed), ("cancelled", cancelled),
        ]
    }
}
