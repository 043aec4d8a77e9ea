import SiloCore
import SiloStore
import SiloTesting

@testable import SiloEngine

extension Model {
    /// Takes over what a lease that nobody was told of chose, as long as it was free to choose so.
    mutating func adopt(_ operation: Operation, from store: MemoryStore) async throws {
        guard case .lease(let group, let count, let worker) = operation else { return }
        let ready = ready(group)
        var chosen: [JobKey] = []
        for key in ready where try await stored(key, store)?.lease?.workerId == worker { chosen.append(key) }
        guard chosen.count == min(count, ready.count) else { return }
        for tenant in Set(chosen.map(\.tenant)) {
            let served = chosen.filter { $0.tenant == tenant }
            guard served == Array(ready.filter { $0.tenant == tenant }.prefix(served.count)) else { return }
        }
        for key in chosen { _ = run(key, worker, nil) }
    }

    /// Learns the tasks that were leased without an answer.
    mutating func learnTasks(from store: MemoryStore) async throws {
        for (key, var lease) in running where lease.task == nil {
            guard let bytes = try await stored(key, store)?.lease?.taskId, let uuid = UUID(bytes: bytes) else { continue }
            lease.task = TaskID(uuid)
            jobs[key]?.place = .running(lease)
        }
    }

    /// Where the stored rows are not what the model says.
    func differences(from store: MemoryStore) async throws -> [String] {
        let audit = ShardAudit(store.rows)
        var found = audit.violations
        if audit.total != jobs.count { found.append("\(audit.total) jobs are stored, not \(jobs.count)") }
        if audit.completed != completed { found.append("\(audit.completed) jobs are finished, not \(completed)") }
        let dropping = Set(store.rows.compactMap { row -> Tenant? in
            guard case .tenantState(let tenant)? = ShardKeys.parse(row.key) else { return nil }
            return (try? StorageV1.TenantState(stored: row.value))?.drop == nil ? nil : tenant
        })
        if dropping != self.dropping { found.append("\(dropping) are being dropped, not \(self.dropping)") }
        for (key, job) in jobs {
            guard let stored = try await stored(key, store) else {
                found.append("\(key) is not stored")
                continue
            }
            let attempts = try await attempts(key, stored, store)
            if attempts != job.ended { found.append("\(key): attempts \(attempts), not \(job.ended)") }
            found += differences(job, stored).map { "\(key): \($0)" }
        }
        return found
    }

    private func differences(_ job: Job, _ stored: StoredJob) -> [String] {
        var found: [String] = []
        func same<T: Equatable>(_ what: String, _ actual: T, _ expected: T) {
            if actual != expected { found.append("\(what) is \(actual), not \(expected)") }
        }
        switch job.place {
        case .scheduled(let attempt, _, let start):
            same("state", stored.state, .scheduled)
            same("attempt", stored.attempt, attempt)
            same("start", stored.nextStart(at: Moment(wall: now, steady: now)), start)
            same("changed at", stored.changedAt, job.scheduledAt)
            same("cancelled at", stored.cancelledAt, nil)
        case .running(let lease):
            same("state", stored.state, .running)
            same("attempt", stored.attempt, lease.attempt)
            same("relative attempt", stored.relativeAttempt, lease.relative)
            same("start", stored.nextStart(at: Moment(wall: now, steady: now)), nil)
            same("changed at", stored.changedAt, lease.startedAt)
            same("cancelled at", stored.cancelledAt, lease.cancelledAt)
            same("worker", stored.lease?.workerId, lease.worker)
            same("expiry", stored.lease?.expiresAtMs, lease.storedExpiresAt.milliseconds)
            if let task = lease.task { same("task", stored.lease?.taskId, task.uuid.bytes) }
        case .finished(let state, let attempt, let at, let cancelledAt, let start, _):
            same("state", stored.state, state.name)
            same("attempt", stored.attempt, attempt)
            same("start", stored.nextStart(at: Moment(wall: now, steady: now)), start)
            same("changed at", stored.changedAt, at)
            same("cancelled at", stored.cancelledAt, cancelledAt)
        }
        return found
    }

    private func stored(_ key: JobKey, _ store: MemoryStore) async throws -> StoredJob? {
        try await StoredJob.read(key.id, TenantKeys(key.tenant)) { key throws(StoreError) in try await store.get(key) }
    }

    private func attempts(_ key: JobKey, _ stored: StoredJob, _ store: MemoryStore) async throws -> [Ended] {
        let range = TenantKeys(key.tenant).attempts(of: key.id)
        let rows = try await store.scan(from: range.start, to: range.end, limit: .max)
        let attempts =
            try rows.map { row in try StorageV1.Attempt(stored: row.value) } + (stored.status?.lastAttempt.map { [$0] } ?? [])
        return attempts.map { Ended(number: $0.number, relative: $0.relativeNumber, outcome: $0.outcome, code: $0.errorCode) }
    }
}
