import Protobuf
import SiloCore
public import SiloStore

/// Recounts a shard's database from its rows and says what does not hold. It shares no code with the engine's operations.
public struct ShardAudit {
    private struct JobRows {
        var job: StorageV1.Job?
        var status: StorageV1.Status?
        var leases: [StorageV1.Lease] = []
        var ready: [StorageV1.Task] = []
        var timers: [StorageV1.Task] = []
        var finished: [(state: UInt8, changedAt: UInt64)] = []
        var attempts: [StorageV1.Attempt] = []
        var metadata: [String: String] = [:]
    }
    private struct JobKey: Hashable {
        let tenant: String
        let id: String
    }

    private var jobs: [JobKey: JobRows] = [:]
    private var directory: [String: StorageV1.QueueCounts] = [:]
    public private(set) var violations: [String] = []

    /// Jobs found, and those of them that are finished.
    public var total: Int { jobs.values.filter { $0.job != nil }.count }
    public var completed: Int { jobs.values.filter { !$0.finished.isEmpty }.count }

    public init(_ rows: [Row]) {
        for row in rows {
            do { try read(row) } catch { violations.append("unreadable row \(row.key): \(error)") }
        }
        checkJobs()
        checkCounts()
    }

    private mutating func read(_ row: Row) throws {
        switch row.key.first {
        case 0x02:
            guard let (tenant, group) = ShardKeys.parseQueue(row.key) else { return violations.append("bad directory key") }
            directory[tenant.name + "\0" + group] = try StorageV1.QueueCounts(serializedBytes: row.value)
        case 0x10:
            try readTenantRow(row)
        default:
            break
        }
    }

    private mutating func readTenantRow(_ row: Row) throws {
        var parts = KeyParts(row.key, skipping: 9)
        let tenant = parts.text()
        let family = parts.byte()
        switch family {
        case 0x4a: jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].job = try StorageV1.Job(serializedBytes: row.value)
        case 0x53: jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].status = try StorageV1.Status(serializedBytes: row.value)
        case 0x4c: jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].leases.append(try StorageV1.Lease(serializedBytes: row.value))
        case 0x41: jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].attempts.append(try StorageV1.Attempt(serializedBytes: row.value))
        case 0x52, 0x54:
            _ = parts.text()
            _ = parts.number()
            let key = JobKey(tenant: tenant, id: parts.text())
            let task = try StorageV1.Task(serializedBytes: row.value)
            if family == 0x52 { jobs[key, default: JobRows()].ready.append(task) } else { jobs[key, default: JobRows()].timers.append(task) }
        case 0x58:
            let state = parts.byte()
            let changedAt = ~parts.number()
            jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].finished.append((state, changedAt))
        case 0x4d:
            let name = parts.text()
            let value = parts.text()
            jobs[JobKey(tenant: tenant, id: parts.text()), default: JobRows()].metadata[name] = value
        default:
            violations.append("unknown family \(family)")
        }
    }

    private mutating func checkJobs() {
        for (key, rows) in jobs {
            func complain(_ text: String) { violations.append("job \(key.tenant)/\(key.id): \(text)") }
            guard let job = rows.job else {
                complain("J18: rows without a job")
                continue
            }
            let places = rows.leases.count + rows.ready.count + rows.timers.count + rows.finished.count
            if places != 1 { complain("J2 J20 J29: stands in \(places) places") }
            if rows.metadata != job.metadata { complain("J30: metadata rows \(rows.metadata) are not \(job.metadata)") }
            if let index = rows.finished.first {
                guard let status = rows.status else {
                    complain("J29: finished without a status")
                    continue
                }
                if UInt8(truncatingIfNeeded: status.state.rawValue) != index.state || UInt64(max(0, status.changedAtMs)) != index.changedAt {
                    complain("J29: index row \(index) does not match status \(status.state)")
                }
            } else if let status = rows.status, status.state != .scheduled {
                complain("J8 J9: status \(status.state) of a job that is not finished")
            }
            if let task = rows.ready.first ?? rows.timers.first {
                if let status = rows.status, status.attempt != task.attempt || status.startMs != task.startMs {
                    complain("J36: the pending task is not the one that the status names")
                }
            }
            let numbers = (rows.attempts + (rows.status?.lastAttempt.map { [$0] } ?? [])).map(\.number)
            if Set(numbers).count != numbers.count { complain("J26: attempt numbers repeat: \(numbers)") }
            if let lease = rows.leases.first, let highest = numbers.max(), lease.attempt <= highest {
                complain("J26: leased attempt \(lease.attempt) after attempt \(highest)")
            }
        }
    }

    private mutating func checkCounts() {
        var recount: [String: StorageV1.QueueCounts] = [:]
        for (key, rows) in jobs {
            guard let job = rows.job else { continue }
            let queue = key.tenant + "\0" + job.taskGroup
            recount[queue, default: StorageV1.QueueCounts()].ready += UInt64(rows.ready.count)
            recount[queue, default: StorageV1.QueueCounts()].timers += UInt64(rows.timers.count)
            recount[queue, default: StorageV1.QueueCounts()].leased += UInt64(rows.leases.count)
            for finished in rows.finished {
                switch finished.state {
                case 2: recount[queue, default: StorageV1.QueueCounts()].succeeded += 1
                case 3: recount[queue, default: StorageV1.QueueCounts()].failed += 1
                default: recount[queue, default: StorageV1.QueueCounts()].cancelled += 1
                }
            }
        }
        for (queue, var stored) in directory {
            stored.readyFrom = 0
            stored.timersFrom = 0
            if recount[queue] ?? StorageV1.QueueCounts() != stored {
                violations.append("J31: queue \(queue) counts \(stored), recount \(String(describing: recount[queue]))")
            }
        }
        for queue in recount.keys where directory[queue] == nil { violations.append("J31: queue \(queue) is not in the directory") }
    }
}

/// Reads key parts, with a decoder of its own so that a mistake in the engine's shows.
private struct KeyParts {
    private var rest: ArraySlice<UInt8>

    init(_ key: Bytes, skipping count: Int) {
        rest = key.dropFirst(count)
    }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func number() -> UInt64 {
        (0..<8).reduce(0) { sum, _ in sum << 8 | UInt64(byte()) }
    }

    mutating func text() -> String {
        var content = Bytes()
        while let byte = rest.popFirst() {
            guard byte == 0 else {
                content.append(byte)
                continue
            }
            if rest.popFirst() == 1 { break }
            content.append(0)
        }
        return String(decoding: content, as: UTF8.self)
    }
}
