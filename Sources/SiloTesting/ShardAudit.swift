import Protobuf
import SiloCore
public import SiloStore

/// Recounts a shard's database from its rows and says what does not hold. It shares no code with the engine's operations.
public struct ShardAudit {
    private struct PendingRow {
        let group: Bytes
        let order: UInt64
        let task: StorageV1.Task
    }
    private struct JobRows {
        var job: StorageV1.Job?
        var status: StorageV1.Status?
        var leases: [StorageV1.Lease] = []
        var ready: [PendingRow] = []
        var timers: [PendingRow] = []
        var waiting: [(line: LineKey, row: PendingRow)] = []
        var finished: [(state: UInt8, changedAt: UInt64)] = []
        var attempts: [StorageV1.Attempt] = []
        var metadata: [String: String] = [:]
    }
    /// Texts as bytes: Swift calls texts equal that only Unicode holds to be equivalent.
    private struct JobKey: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let id: Bytes
        var description: String { "\(String(decoding: tenant, as: UTF8.self))/\(String(decoding: id, as: UTF8.self))" }
    }
    private struct QueueKey: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let group: Bytes
        var description: String { "\(String(decoding: tenant, as: UTF8.self))/\(String(decoding: group, as: UTF8.self))" }
    }

    /// A limit's key, or the 16 bytes of a line.
    private struct LineKey: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let line: Bytes
        var description: String { "\(String(decoding: tenant, as: UTF8.self))/\(String(decoding: line, as: UTF8.self))" }
    }

    private var jobs: [JobKey: JobRows] = [:]
    private var lines: [LineKey: StorageV1.Line] = [:]
    private var slots: [LineKey: StorageV1.Slots] = [:]
    private var buckets: [String: StorageV1.Bucket] = [:]
    private var drops: [Bytes: UInt32] = [:]
    private var pausedLimits: Set<LineKey> = []
    private var directory: [QueueKey: StorageV1.QueueCounts] = [:]
    private var taskIDs: [Bytes: JobKey] = [:]
    public private(set) var violations: [String] = []
    /// Rows that could not be read and were moved out of the way.
    public private(set) var setAside = 0

    /// Jobs found, and those of them that are finished.
    public var total: Int { jobs.values.filter { $0.job != nil }.count }
    public var completed: Int { jobs.values.filter { !$0.finished.isEmpty }.count }

    public init(_ rows: [Row]) {
        for row in rows {
            do { try read(row) } catch { violations.append("unreadable row \(row.key): \(error)") }
        }
        for (key, rows) in jobs {
            guard let job = rows.job else {
                violations.append("job \(key): J18: rows without a job")
                continue
            }
            checkPlaces(key, job, rows)
            checkHolds(key, job, rows)
            checkPending(key, job, rows)
            checkAttempts(key, job, rows)
        }
        checkCounts()
        checkSlots()
        checkLines()
    }

    // MARK: Reading

    private mutating func read(_ row: Row) throws {
        switch row.key.first {
        case 0x02:
            var parts = KeyParts(row.key, skipping: 9)
            let key = QueueKey(tenant: parts.text(), group: parts.text())
            directory[key] = try StorageV1.QueueCounts(serializedBytes: row.value)
        case 0x03:
            setAside += 1
        case 0x04:
            var parts = KeyParts(row.key, skipping: 9)
            lines[LineKey(tenant: parts.text(), line: parts.bytes(16))] = try StorageV1.Line(serializedBytes: row.value)
        case 0x06:
            var parts = KeyParts(row.key, skipping: 9)
            drops[parts.text()] = try StorageV1.TenantState(serializedBytes: row.value).drops
        case 0x07:
            var parts = KeyParts(row.key, skipping: 9)
            let tenant = parts.text()
            if parts.byte() == 3 { pausedLimits.insert(LineKey(tenant: tenant, line: parts.text())) }
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
        func change(_ id: Bytes, _ body: (inout JobRows) throws -> Void) rethrows {
            try body(&jobs[JobKey(tenant: tenant, id: id), default: JobRows()])
        }
        switch family {
        case 0x4a: try change(parts.text()) { $0.job = try StorageV1.Job(serializedBytes: row.value) }
        case 0x53: try change(parts.text()) { $0.status = try StorageV1.Status(serializedBytes: row.value) }
        case 0x4c: try change(parts.text()) { $0.leases.append(try StorageV1.Lease(serializedBytes: row.value)) }
        case 0x41: try change(parts.text()) { $0.attempts.append(try StorageV1.Attempt(serializedBytes: row.value)) }
        case 0x52, 0x54:
            let group = parts.text()
            let order = parts.number()
            let pending = PendingRow(group: group, order: order, task: try StorageV1.Task(serializedBytes: row.value))
            change(parts.text()) { rows in
                if family == 0x52 { rows.ready.append(pending) } else { rows.timers.append(pending) }
            }
        case 0x57:
            let line = LineKey(tenant: tenant, line: parts.bytes(16))
            let order = parts.number()
            let task = try StorageV1.Task(serializedBytes: row.value)
            change(parts.text()) { $0.waiting.append((line, PendingRow(group: [], order: order, task: task))) }
        case 0x48:
            slots[LineKey(tenant: tenant, line: parts.text())] = try StorageV1.Slots(serializedBytes: row.value)
        case 0x42:
            let name = String(decoding: tenant + [47] + parts.text() + [47] + parts.text(), as: UTF8.self)
            buckets[name] = try StorageV1.Bucket(serializedBytes: row.value)
        case 0x58:
            let state = parts.byte()
            let changedAt = ~parts.number()
            change(parts.text()) { $0.finished.append((state, changedAt)) }
        case 0x4d:
            let name = String(decoding: parts.text(), as: UTF8.self)
            let value = String(decoding: parts.text(), as: UTF8.self)
            change(parts.text()) { $0.metadata[name] = value }
        default:
            violations.append("unknown family \(family)")
        }
    }

    // MARK: Checking

    private mutating func checkPlaces(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { violations.append("job \(key): \(text)") }
        if Bytes(job.id.utf8) != key.id { complain("J19: its row names \(job.id)") }
        let places = rows.leases.count + rows.ready.count + rows.timers.count + rows.waiting.count + rows.finished.count
        if places != 1 { complain("J2 J20 J29: stands in \(places) places") }
        if rows.metadata != job.metadata.mapValues({ TenantKeys.indexed($0) }) { complain("J30: metadata rows \(rows.metadata) are not \(job.metadata)") }

        if let index = rows.finished.first {
            guard let status = rows.status else { return complain("J29: finished without a status") }
            if UInt8(truncatingIfNeeded: status.state.rawValue) != index.state || UInt64(max(0, status.changedAtMs)) != index.changedAt {
                complain("J29: index row \(index) does not match status \(status.state)")
            }
            if let last = status.lastAttempt {
                let cancelsFailure = status.state == .cancelled && last.outcome == .failed && status.cancelledAtMs != nil
                if last.outcome != status.state, !cancelsFailure { complain("J39: \(status.state) after attempt \(last.outcome)") }
                if last.number != status.attempt { complain("J39: attempt \(last.number) ended it, status says \(status.attempt)") }
            } else if status.state != .cancelled {
                complain("J7: \(status.state) without an attempt")
            }
        } else if let status = rows.status {
            if status.state != .scheduled { complain("J8 J9: status \(status.state) of a job that is not finished") }
            if status.cancelledAtMs != nil { complain("J10: a mark on a job that is not finished and holds no lease") }
            if status.lastAttempt != nil { complain("J7: an attempt ended a job that is not finished") }
        }
    }

    private mutating func checkPending(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { violations.append("job \(key): \(text)") }
        for waiting in rows.waiting {
            if waiting.row.task.startMs > Int64.max / 2 { complain("L13: waits at a limit before its start") }
        }
        for (pending, isReady) in rows.ready.map({ ($0, true) }) + rows.timers.map({ ($0, false) }) + rows.waiting.map({ ($0.row, true) }) {
            let task = pending.task
            let (attempt, start) = rows.status.map { ($0.attempt, $0.startMs) } ?? (1, job.startMs)
            if task.attempt != attempt || task.startMs != start { complain("J36: the pending task is not the one that its status names") }
            if !pending.group.isEmpty, pending.group != Bytes(job.taskGroup.utf8) { complain("J20: waits in another group") }
            if task.priority != job.priority { complain("J25: waits with priority \(task.priority), not \(job.priority)") }
            if let copy = task.job, copy != job { complain("J20: carries another job") }
            let due = rows.status?.dueMs ?? task.startMs
            if !isReady, pending.order != UInt64(max(0, due)) { complain("J24 J36: its timer is at \(pending.order), not \(due)") }
        }
        if let lease = rows.leases.first {
            if lease.attempt != rows.status?.attempt ?? 1 { complain("J4: leased attempt \(lease.attempt), not the pending one") }
            if Bytes(lease.taskGroup.utf8) != Bytes(job.taskGroup.utf8) { complain("J3: leased in another group") }
        }
    }

    private mutating func checkAttempts(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { violations.append("job \(key): \(text)") }
        let attempts = rows.attempts + (rows.status?.lastAttempt.map { [$0] } ?? [])
        let numbers = attempts.map(\.number)
        if Set(numbers).count != numbers.count { complain("J26: attempt numbers repeat: \(numbers)") }
        let pending = (rows.ready + rows.timers).map(\.task.attempt) + rows.leases.map(\.attempt)
        if let next = pending.first, let highest = numbers.max(), next <= highest { complain("J26: attempt \(next) comes after \(highest)") }
        for attempt in attempts where attempt.outcome == .scheduled || attempt.outcome == .running { complain("J5: attempt \(attempt.number) did not end") }
        // An attempt that lease-one took counts relatively as it counts for ever.
        for attempt in attempts where attempt.relativeNumber > (job.retryPolicy?.retryCount ?? 0) + 1 && attempt.relativeNumber != attempt.number {
            complain("J27: attempt \(attempt.relativeNumber) of its run")
        }
        for id in attempts.map(\.taskId) + rows.leases.map(\.taskId) {
            if let other = taskIDs.updateValue(key, forKey: id) { complain("J1 J19: shares a task id with \(other)") }
        }
    }

    /// The keys of a job's concurrency and floating limits, with the fixed maximum where there is one.
    private static func slotLimits(_ limits: [StorageV1.Limit]) -> [Bytes: UInt32?] {
        var found: [Bytes: UInt32?] = [:]
        for limit in limits {
            switch limit.kind {
            case .concurrency(let slots): found[Bytes(slots.key.utf8)] = .some(slots.maxConcurrency)
            case .floating(let floating): found[Bytes(floating.key.utf8)] = .some(nil)
            default: break
            }
        }
        return found
    }

    private static func hits(_ limits: [StorageV1.Limit]) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for case .rate(let rate) in limits.compactMap(\.kind) { found["\(rate.name)/\(rate.uniqueKey)"] = UInt64(rate.hits) }
        return found
    }

    private mutating func checkHolds(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { violations.append("job \(key): \(text)") }
        let keys = Set(Self.slotLimits(job.limits).keys)
        for row in rows.ready where !job.limits.isEmpty && row.task.hold == nil { complain("L8: ready without its slots") }
        for row in rows.waiting.map(\.row) where row.task.hold != nil || row.task.reserved { complain("L4 L14: waits and holds") }
        for row in rows.timers where row.task.reserved { complain("L5 L13: waits for its time and has hits reserved") }
        if let lease = rows.leases.first, lease.hold != nil, Set(lease.slots.map { Bytes($0.utf8) }) != keys {
            complain("L8 L10: its lease holds \(lease.slots)")
        }
        if let lease = rows.leases.first, lease.hold == nil, !lease.slots.isEmpty { complain("L10: a lease holds slots and does not say since when") }
    }

    /// What the rows of jobs hold, by limit.
    private func heldSlots() -> [LineKey: (count: UInt64, maxima: [UInt32?])] {
        var held: [LineKey: (count: UInt64, maxima: [UInt32?])] = [:]
        for (key, rows) in jobs {
            guard let job = rows.job else { continue }
            let holds = (rows.ready + rows.timers).map(\.task.hold) + rows.leases.map(\.hold)
            for case let hold? in holds where hold == drops[key.tenant] ?? 0 {
                for (limit, max) in Self.slotLimits(job.limits) {
                    held[LineKey(tenant: key.tenant, line: limit), default: (0, [])].count += 1
                    held[LineKey(tenant: key.tenant, line: limit)]?.maxima.append(max)
                }
            }
        }
        return held
    }

    private mutating func checkSlots() {
        let held = heldSlots()
        for (limit, found) in held {
            let row = slots[limit]
            let stored = row?.drops == drops[limit.tenant] ?? 0 ? row?.held ?? 0 : 0
            if stored != found.count { violations.append("limit \(limit): L12: \(stored) slots are held, a recount gives \(found.count)") }
            // Floating limits may have been lowered since.
            if !found.maxima.contains(nil), drops[limit.tenant] == nil, let most = found.maxima.compactMap({ $0 }).max(), found.count > most {
                violations.append("limit \(limit): L1: \(found.count) holders of \(most) slots")
            }
        }
        for (limit, row) in slots where row.drops == drops[limit.tenant] ?? 0 && row.held > 0 && held[limit] == nil {
            violations.append("limit \(limit): L2 L3 L12: \(row.held) slots are held by nobody")
        }
        var reserved: [String: UInt64] = [:]
        for (key, rows) in jobs {
            guard let job = rows.job else { continue }
            for row in rows.ready where row.task.reserved {
                for (name, hits) in Self.hits(job.limits) {
                    reserved[String(decoding: key.tenant, as: UTF8.self) + "/" + name, default: 0] += hits
                }
            }
        }
        for name in Set(reserved.keys).union(buckets.keys) where reserved[name] ?? 0 != buckets[name]?.reserved ?? 0 {
            violations.append("bucket \(name): \(buckets[name]?.reserved ?? 0) hits reserved, a recount gives \(reserved[name] ?? 0)")
        }
    }

    private mutating func checkLines() {
        var waiting: [LineKey: UInt64] = [:]
        for (key, rows) in jobs {
            for (line, row) in rows.waiting {
                waiting[line, default: 0] += 1
                if let stored = lines[line] {
                    if row.order < stored.waitingFrom { violations.append("job \(key): waits before waitingFrom") }
                    if let job = rows.job, Self.slotLimits(stored.limits) != Self.slotLimits(job.limits) { violations.append("job \(key): L7: waits in a line of other limits") }
                }
            }
        }
        for line in Set(waiting.keys).union(lines.keys) where waiting[line] ?? 0 != lines[line]?.waiting ?? 0 {
            violations.append("line \(line.line): \(lines[line]?.waiting ?? 0) jobs wait, a recount gives \(waiting[line] ?? 0)")
        }
    }

    /// Lines that wait although every one of their limits has room, when nothing is left to be done: lost wake-ups (L17, L22).
    /// Lines with rate limits are left out: time decides there.
    public var stuckLines: [String] {
        let held = heldSlots()
        return lines.compactMap { key, line in
            guard Self.hits(line.limits).isEmpty else { return nil }
            let hasRoom = Self.slotLimits(line.limits).allSatisfy { limit, max in
                let name = LineKey(tenant: key.tenant, line: limit)
                let capacity = max ?? slots[name]?.floating?.currentMax ?? 0
                return !pausedLimits.contains(name) && held[name]?.count ?? 0 < capacity
            }
            return hasRoom ? "L17 L22: \(line.waiting) jobs wait for \(line.limits), which have room" : nil
        }
    }

    private mutating func checkCounts() {
        var recount: [QueueKey: StorageV1.QueueCounts] = [:]
        for (key, rows) in jobs {
            guard let job = rows.job else { continue }
            var counts = recount[QueueKey(tenant: key.tenant, group: Bytes(job.taskGroup.utf8))] ?? StorageV1.QueueCounts()
            counts.ready += UInt64(rows.ready.count)
            counts.timers += UInt64(rows.timers.count)
            counts.waiting += UInt64(rows.waiting.count)
            counts.leased += UInt64(rows.leases.count)
            for finished in rows.finished {
                switch finished.state {
                case 2: counts.succeeded += 1
                case 3: counts.failed += 1
                default: counts.cancelled += 1
                }
            }
            recount[QueueKey(tenant: key.tenant, group: Bytes(job.taskGroup.utf8))] = counts
        }
        for (key, rows) in jobs {
            guard let job = rows.job, let queue = directory[QueueKey(tenant: key.tenant, group: Bytes(job.taskGroup.utf8))] else { continue }
            if let row = rows.ready.first, row.order < queue.readyFrom { violations.append("job \(key): ready before readyFrom") }
            if let row = rows.timers.first, row.order < queue.timersFrom { violations.append("job \(key): timer before timersFrom") }
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

    mutating func bytes(_ count: Int) -> Bytes { (0..<count).map { _ in byte() } }

    mutating func text() -> Bytes {
        var content = Bytes()
        while let byte = rest.popFirst() {
            guard byte == 0 else {
                content.append(byte)
                continue
            }
            if rest.popFirst() == 1 { break }
            content.append(0)
        }
        return content
    }
}
