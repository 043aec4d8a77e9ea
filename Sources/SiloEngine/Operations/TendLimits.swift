import Protobuf
import SiloCore
import SiloStore

/// What limits need of time: buckets that have room again, floating limits to be refreshed, refreshes that are due or were
/// not done, and, after the shard was opened, the rest of the stored lines.
struct TendLimits: Command {
    /// Things done in one go.
    static let countMax = 512

    /// In steady time; see `ExpireLeases`.
    let judging: Timestamp

    func run(in transaction: Transaction) async throws {
        let limits = transaction.memory.limits
        var left = Self.countMax
        for axis in Axis.allCases {
            while left > 0, let limit = limits.popAlarm(axis, by: transaction.moment[axis]) {
                left -= 1
                if let slots = limit as? SlotLimit {
                    Probe.refreshByAlarm.reached()
                    try await transaction.refreshIfWaitedFor(slots)
                } else {
                    limits.markFreed(limit)
                }
            }
        }
        while left > 0, let refresh = limits.refreshes.popAlarm(by: judging) {
            left -= 1
            try await transaction.tend(refresh)
        }
        if limits.unreadLines != nil { try await transaction.loadLines() }
    }
}

extension Transaction {
    /// Reads some more of the stored lines, and finds out where each waits.
    func loadLines() async throws(StoreError) {
        guard let start = memory.limits.unreadLines else { return }
        Probe.linesReadAfterOpening.reached()
        let (rows, next) = try await scan(from: start, to: ShardKeys.lines.end, limit: TendLimits.countMax, merging: false)
        var left = TendLimits.countMax
        for row in rows {
            guard let (tenant, id) = ShardKeys.parseLine(row.key), let record = try? StorageV1.Line(serializedBytes: row.value)
            else {
                setAside(row)
                continue
            }
            let lineID = Line.ID(tenant: tenant, line: id)
            if let line = memory.limits.line(lineID), line.blockedAt != nil { continue }
            let line = memory.limits.line(lineID) ?? Line(lineID, record, isStored: true)
            memory.limits.add(line)
            guard try await enter(line, &left) else {
                memory.limits.unreadLines = row.key
                return
            }
        }
        memory.limits.unreadLines = next
    }

    /// Has a line that was just read wait at the first of its limits; being looked at there, it finds its place. False when there
    /// was no time for all of it.
    private func enter(_ line: Line, _ left: inout Int) async throws(StoreError) -> Bool {
        let demands = try await demands(of: line.limits, line.id.tenant)
        guard let first = demands.first else { return try await dissolve(line, &left) }
        switch verdict(demands, in: line) {
        case .free:
            memory.limits.park(line, at: first)
            memory.limits.markFreed(first.limit)
        case .blocked(let demand, let dueAt):
            memory.limits.park(line, at: demand)
            guard case .hits(let limit, let rate) = demand else { break }
            // Jobs that ask only so often do not wait for a bucket: they are put off when they are looked at.
            if rate.maxRetries > 0 {
                memory.limits.markFreed(limit)
            } else {
                lookAgain(at: limit, dueAt ?? .delay(until: steady))
            }
        }
        return true
    }

    /// Admits the jobs of a line whose limits are not asked for any more, because an external limiter is asked instead.
    private func dissolve(_ line: Line, _ left: inout Int) async throws(StoreError) -> Bool {
        while line.waiting > 0 {
            guard left > 0 else { return false }
            left -= 1
            guard let head = try await head(of: line) else { return true }
            let queue = try await queue(line.id.tenant, head.record.jobGroup)
            takeFirst(of: line, head, queue)
            try await admitDue(JobReference(id: head.position.job, queue: queue), head.record)
        }
        return true
    }
}
