import Protobuf
public import SiloCore
import SiloStore

/// Gathers what the shard's memory knows of why a job is not running (ExplainJob). It changes nothing.
///
/// Counting who is before the job and naming who holds its limits reads rows; `Findings.explanation` does that beside the
/// loop.
public struct Explain: Query {
    public let tenant: Tenant
    public let id: JobID

    public init(tenant: Tenant, id: JobID) {
        self.tenant = tenant
        self.id = id
    }

    package func check(_ view: View) async throws(Refusal) -> Findings {
        let (stored, job) = try await view.find(tenant, id)
        let poll = view.poll(job.queue.id.group)
        var findings = Findings(
            moment: view.moment, tenant: tenant, id: id, stored: stored,
            lastPoll: poll.map { view.moment.date(of: $0.last) },
            workersWaiting: view.waitingWorkers(job.queue.id), leasePace: poll?.leases ?? Pace(),
            drops: view.drops(of: tenant), asksRateLimiter: view.settings.asksRateLimiter
        )
        for target in PauseTable.targets(of: job.queue.id) {
            if let pause = view.pause(target) { findings.pauses.append((target, pause)) }
        }
        guard stored.state == .scheduled, let start = stored.pendingStart, let due = stored.due else { return findings }

        findings.position = view.position(job, stored, start: start)
        if let bytes = try await view.get(job.keys.timer(due.axis, job.queue.id.group, stored.position(due))) {
            let task = try? StorageV1.Task(serializedBytes: bytes)
            findings.place = .timer(due.date(at: view.moment), isAsking: task?.hold != nil, rateChecks: task?.rateChecks ?? 0)
        } else if try await view.isWaiting(job, stored) {
            findings.place = .waiting
        } else {
            findings.place = .ready(inQueue: job.queue.counts.ready)
        }
        if case .ready = findings.place {
            for key in stored.job.limits.slotKeys {
                guard let pause = view.pause(.limit(key, of: tenant)) else { continue }
                findings.limits.append(Findings.Limit(
                        kind: .paused, key: key.text, blocks: true, max: 0, inUse: 0, pause: pause, releases: Pace(), lines: [],
                        isHeld: true
                ))
            }
            findings.limits += try await view.lostSlots(of: stored.job.limits, job, findings.position)
            return findings
        }

        let line = view.line(of: stored.job.limits, tenant)
        for demand in try await view.demands(of: stored.job.limits, tenant) {
            let blocks = if case .waiting = findings.place { line?.blockedAt === demand.limit } else { false }
            if let limit = view.finding(demand, of: line, blocks: blocks) { findings.limits.append(limit) }
        }
        return findings
    }
}

extension View {
    /// The limits whose slots a ready job has lost, for their holders were dropped. What is paused besides is told as such.
    fileprivate func lostSlots(
        of limits: [StorageV1.Limit], _ job: JobReference, _ position: Position
    ) async throws(Refusal) -> [Findings.Limit] {
        guard let bytes = try await get(job.keys.ready(job.group, position)),
            let hold = try? StorageV1.Task(serializedBytes: bytes).slotHold
        else { return [] }
        var lost: [Findings.Limit] = []
        for demand in try await demands(of: limits, job.tenant) {
            guard case .slot(let limit, let max) = demand, !limit.isPaused, !hold.isGood(of: limit),
                var found = finding(demand, of: nil, blocks: true)
            else { continue }
            found.lost = limit.hasRoom(max, for: nil) ? .hasRoom : .lacksRoom
            lost.append(found)
        }
        return lost
    }

    /// What is to be told of a limit that has no room for the job; nil when it has.
    /// - Parameters:
    ///   - own: the line that the job waits in.
    ///   - blocks: the job waits there, so that it is told of anyway.
    fileprivate func finding(_ demand: Demand, of own: Line?, blocks: Bool) -> Findings.Limit? {
        let lines = demand.limit.lines.some(Findings.linesMax).map { line in
            Findings.WaitingLine(
                line: line.id.line, head: line.head,
                rate: line.limits.rates.first { Limit.ID.bucket(line.id.tenant, of: $0) == demand.limit.id }
            )
        }
        switch demand {
        case .slot(let limit, let max):
            guard blocks || !limit.hasRoom(max, for: own) else { return nil }
            return Findings.Limit(
                kind: max == nil ? .floating : .concurrency, key: limit.key.text, blocks: blocks, max: limit.capacity(max),
                inUse: limit.held, pause: pause(.limit(limit.key, of: limit.id.tenant)), releases: limit.releases,
                lines: lines, isKept: limit.keptFor.map { $0 !== own } ?? false
            )
        case .hits(let limit, let rate):
            var bucket = limit.bucket
            bucket.setBack(to: now, rate)
            bucket.pass(to: moment, rate)
            guard blocks || !bucket.hasRoom(rate) else { return nil }
            return Findings.Limit(
                kind: .rate, key: limit.id.text, blocks: blocks, max: UInt64(rate.room),
                inUse: UInt64(bucket.record.used.rounded(.up)) + bucket.record.reserved, pause: nil, releases: Pace(),
                lines: lines, bucket: (bucket, rate)
            )
        }
    }
}
