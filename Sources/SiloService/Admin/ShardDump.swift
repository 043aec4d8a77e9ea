import SiloCore
import SiloEngine
import SiloStore
import SlateDB

/// What a shard does, in lines for people.
enum ShardDump {
    static func lines(of host: any HostedShard) -> [String] {
        switch host.current {
        case .opening(let why): ["not open: \(why)"]
        case .behind(let store): ["takes no writes: \(store.clockLag?.description ?? "its clock was behind until just now")"]
        case .closed: ["closed: the server is shutting down"]
        case .moved(let owner): ["moved to \(owner?.address ?? "another server")"]
        case .serving(let shard, _): lines(shard.activity, shard.counts)
        }
    }

    static func lines(_ activity: ShardActivity, _ counts: ShardCounts) -> [String] {
        let mailbox = activity.mailbox
        func age(_ began: Timestamp?) -> String? { began.map { "\(max(0, activity.at.steady - $0)) ms" } }
        return [
            "loop: " + (age(activity.turnBegan).map { "in a turn for \($0)" } ?? "waits for work")
                + (mailbox.isStopped ? "; takes nothing more in" : ""),
            "mailbox: \(mailbox.renewals) heartbeats and outcomes, \(mailbox.ordinary) other calls, \(mailbox.own) of its own"
                + (age(mailbox.oldest).map { "; the oldest waits for \($0)" } ?? ""),
            "in hand: \(mailbox.inHand) calls of \(mailbox.inHandBytes) bytes; \(activity.answersOwed) answers wait for the log",
            "log: " + (age(activity.flushBegan).map { "a flush goes on for \($0)" } ?? "no flush under way"),
            "jobs: \(counts.total) stored, \(counts.completed) of them finished; \(counts.leases) leases",
            "alarm: " + alarm(activity),
            "workers: \(counts.waitingWorkers) wait for work",
            "memory: \(counts.queues) queues, \(counts.windowedTasks) pending tasks",
            "limits: \(counts.limits), with \(counts.lines) lines of jobs that wait",
        ] + counts.healed.sorted { "\($0.key)" < "\($1.key)" }.map { "mended: \($0.key), \($0.value) times" }
    }
    private static func alarm(_ activity: ShardActivity) -> String {
        let waits = [activity.nextDate - activity.at.wall, activity.nextAlarm - activity.at.steady]
        let isSet = [activity.nextDate, activity.nextAlarm].map { $0 != .distantFuture }
        guard let next = zip(waits, isSet).filter(\.1).map(\.0).min() else { return "none" }
        return "in \(max(0, next)) ms"
    }
}
