import Protobuf
import SiloCore
public import SiloStore

/// Follows a shard's database batch by batch and says what does not hold after each: places, holds, lines, counts, indexes,
/// and what may follow what. It shares no code with the engine's operations, and looks only at what a batch touched.
public final class RunningAudit {
    /// Texts as bytes: Swift calls texts equal that only Unicode holds to be equivalent.
    struct JobKey: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let id: Bytes
        var description: String { "\(text(tenant))/\(text(id))" }
    }
    /// A task group, a limit's key, the name and key of a rate limit, or the 16 bytes of a line, of a tenant.
    struct Name: Hashable, CustomStringConvertible {
        let tenant: Bytes
        let name: Bytes
        var description: String { "\(text(tenant))/\(text(name))" }
    }
    struct Pending {
        let family: UInt8
        /// The task group of a ready row or a timer, the line of a waiting one.
        let place: Name
        let order: UInt64
        let arrival: UInt64
        let task: StorageV1.Task
    }
    struct JobRows {
        var job: StorageV1.Job?
        var status: StorageV1.Status?
        var lease: StorageV1.Lease?
        var pending: [Bytes: Pending] = [:]
        var finished: [Bytes: (state: UInt8, changedAt: UInt64)] = [:]
        /// When it failed, as the index of failed jobs says.
        var failed: [Bytes: UInt64] = [:]
        var attempts: [UInt32: StorageV1.Attempt] = [:]
        var metadata: TextMap<String> = [:]

        var isEmpty: Bool {
            job == nil && status == nil && lease == nil && pending.isEmpty && finished.isEmpty && failed.isEmpty
                && attempts.isEmpty
                && metadata.isEmpty
        }
        /// Attempts that ended, with the one that ended the job.
        var ended: [StorageV1.Attempt] { Array(attempts.values) + (status?.lastAttempt.map { [$0] } ?? []) }
    }
    /// What jobs hold of a limit, by the maximum that they bring; nil: the floating limit's own.
    struct Held {
        var count: UInt64 = 0
        var byMax: [UInt32?: Int] = [:]
    }

    /// Says that jobs of a tenant ended so in a period of 2^20 ms.
    struct Period: Hashable {
        let tenant: Bytes
        let state: UInt8
        let number: UInt64
    }

    private(set) var jobs: [JobKey: JobRows] = [:]
    private var directory: [Name: StorageV1.QueueCounts] = [:]
    private var lines: [Name: StorageV1.Line] = [:]
    private var slots: [Name: StorageV1.Slots] = [:]
    private var buckets: [Name: StorageV1.Bucket] = [:]
    private var drops: [Bytes: UInt32] = [:]
    private var pausedLimits: Set<Name> = []
    private var periods: Set<Period> = []
    /// The set of slices that hold anything, as it is stored.
    private var slices = Bytes()
    private var taskIDs: [Bytes: JobKey] = [:]
    private var rates = RateAudit()

    // Sums over the jobs.
    private var counts: [Name: StorageV1.QueueCounts] = [:]
    private var held: [Name: Held] = [:]
    private var waiting: [Name: UInt64] = [:]
    private var reserved: [Name: UInt64] = [:]

    /// Rows that could not be read and were moved out of the way.
    public private(set) var setAside = 0
    private var found: [String] = []
    private var touched = Touched()

    private struct Touched {
        var jobs: [JobKey: JobRows] = [:]
        var queues: Set<Name> = []
        var limits: Set<Name> = []
        var lines: Set<Name> = []
        var buckets: Set<Name> = []
        var slices: Set<Int> = []
    }

    /// The default of the shard's settings.
    private static let agingMilliseconds: UInt64 = 60_000

    public init() {}

    public var total: Int { jobs.values.count { $0.job != nil } }
    public var completed: Int { jobs.values.count { !$0.finished.isEmpty } }
    public var unfinished: [String] {
        jobs.filter { $0.value.job != nil && $0.value.finished.isEmpty }.map { "\($0.key)" }.sorted()
    }
    /// What became of a job: `scheduled`, `running` or how it ended; nil when it is not stored.
    public func state(of id: String, tenant: String) -> StorageV1.JobState? {
        guard let rows = jobs[JobKey(tenant: Bytes(tenant.utf8), id: Bytes(id.utf8))], rows.job != nil else { return nil }
        if rows.lease != nil { return .running }
        return rows.finished.isEmpty ? .scheduled : rows.status?.state ?? .scheduled
    }

    /// Slots that jobs hold.
    public var heldSlots: UInt64 { held.values.reduce(0) { $0 + $1.count } }

    /// Takes in one batch.
    /// - Returns: what does not hold after it.
    public func apply(_ batch: [Write]) -> [String] {
        found = []
        touched = Touched()
        for write in batch {
            do { try take(write) } catch { found.append("a row cannot be read: \(error), key \(write.key)") }
        }
        // In order of their starts, as the windows of rate limits want it.
        for (key, before) in touched.jobs.sorted(by: { start(of: $0.key) < start(of: $1.key) }) {
            let rows = jobs[key] ?? JobRows()
            if rows.isEmpty { jobs[key] = nil }
            count(key, rows, 1)
            check(key, rows, before)
        }
        for queue in touched.queues { checkQueue(queue) }
        for limit in touched.limits { checkLimit(limit) }
        for line in touched.lines { checkLine(line) }
        for bucket in touched.buckets { checkBucket(bucket) }
        for slice in touched.slices where slices.isEmpty || slices[slice >> 3] & (1 << (slice & 7)) == 0 {
            found.append("slice \(slice) holds rows, and opening does not know of it")
        }
        return found
    }

    private func start(of job: JobKey) -> Int64 { jobs[job]?.lease?.startedSteadyMs ?? 0 }

    // MARK: Reading

    private func take(_ write: Write) throws {
        guard write.key.first != 1 else { return takeShardWide(write) }
        checkSlice(write)
        var parts = KeyParts(write.key, skipping: 2)
        let family = parts.byte()
        switch family {
        case 0x02...0x06:
            parts.skip(8)
            try takeIndex(family, write, parts.text(), &parts)
        case 0x20...0x26:
            parts.skip(8)
            try takeShortLived(family, write, parts.text(), &parts)
        case 0x40...0x46: try takeKept(family, write, &parts)
        case 0x7f: setAside += write.value == nil ? -1 : 1
        default: found.append("unknown family \(family)")
        }
    }

    private func takeShardWide(_ write: Write) {
        if write.key == [1, 2] { slices = write.value ?? [] }
        if write.key.starts(with: [1, 0x7f]) { setAside += write.value == nil ? -1 : 1 }
    }

    /// A row lies in the slice of its tenant, and opening knows of the slice.
    private func checkSlice(_ write: Write) {
        guard write.value != nil, write.key.count > 2 else { return }
        let number = Int(write.key[0] - 0x10) << 8 | Int(write.key[1])
        touched.slices.insert(number)
        let family = write.key[2]
        guard family < 0x7f else { return }
        var parts = KeyParts(write.key, skipping: family == 0x45 ? 11 : family == 0x46 ? 12 : 3)
        let hash = parts.number()
        if hash >> 54 != UInt64(number) { found.append("a row of hash \(hash) lies in slice \(number)") }
    }

    private func takeIndex(_ family: UInt8, _ write: Write, _ tenant: Bytes, _ parts: inout KeyParts) throws {
        switch family {
        case 0x02:
            let name = Name(tenant: tenant, name: parts.text())
            directory[name] = try write.value.map { try StorageV1.QueueCounts(serializedBytes: $0) }
            touched.queues.insert(name)
        case 0x04:
            for key in jobs.keys where key.tenant == tenant { touch(key) }
            drops[tenant] = try write.value.map { try StorageV1.TenantState(serializedBytes: $0).drops }
            for limit in slots.keys where limit.tenant == tenant { touched.limits.insert(limit) }
        case 0x05:
            guard parts.byte() == 3 else { break }
            let name = Name(tenant: tenant, name: parts.text())
            if write.value == nil { pausedLimits.remove(name) } else { pausedLimits.insert(name) }
        case 0x06:
            let name = Name(tenant: tenant, name: parts.bytes(16))
            lines[name] = try write.value.map { try StorageV1.Line(serializedBytes: $0) }
            touched.lines.insert(name)
        default: break
        }
    }

    private func takeShortLived(_ family: UInt8, _ write: Write, _ tenant: Bytes, _ parts: inout KeyParts) throws {
        switch family {
        case 0x21:
            try change(JobKey(tenant: tenant, id: parts.text())) {
                $0.lease = try write.value.map { try StorageV1.Lease(serializedBytes: $0) }
            }
        case 0x25:
            let name = Name(tenant: tenant, name: parts.text())
            slots[name] = try write.value.map { try StorageV1.Slots(serializedBytes: $0) }
            touched.limits.insert(name)
        case 0x26:
            let name = Name(tenant: tenant, name: parts.text() + [47] + parts.text())
            buckets[name] = try write.value.map { try StorageV1.Bucket(serializedBytes: $0) }
            touched.buckets.insert(name)
        default:
            let place = Name(tenant: tenant, name: family == Self.waiting ? parts.bytes(16) : parts.text())
            let order = parts.number()
            let arrival = parts.number()
            try change(JobKey(tenant: tenant, id: parts.text())) { rows in
                rows.pending[write.key] = try write.value.map {
                    Pending(
                        family: family, place: place, order: order, arrival: arrival,
                        task: try StorageV1.Task(serializedBytes: $0))
                }
            }
        }
    }

    private func takeKept(_ family: UInt8, _ write: Write, _ parts: inout KeyParts) throws {
        switch family {
        case 0x45:
            let changedAt = ~parts.number()
            parts.skip(8)
            change(JobKey(tenant: parts.text(), id: parts.text())) { $0.failed[write.key] = write.value.map { _ in changedAt } }
            return
        case 0x46:
            let period = parts.number()
            let state = parts.byte()
            parts.skip(8)
            let name = Period(tenant: parts.text(), state: state, number: period)
            if write.value == nil { periods.remove(name) } else { periods.insert(name) }
            return
        default: parts.skip(8)
        }
        let tenant = parts.text()
        switch family {
        case 0x40:
            try change(JobKey(tenant: tenant, id: parts.text())) {
                $0.job = try write.value.map { try StorageV1.Job(serializedBytes: $0) }
            }
        case 0x41:
            try change(JobKey(tenant: tenant, id: parts.text())) {
                $0.status = try write.value.map { try StorageV1.Status(serializedBytes: $0) }
            }
        case 0x42:
            let key = JobKey(tenant: tenant, id: parts.text())
            let number = UInt32(parts.bytes(4).reduce(0) { $0 << 8 | UInt64($1) })
            try change(key) { $0.attempts[number] = try write.value.map { try StorageV1.Attempt(serializedBytes: $0) } }
        case 0x43:
            let name = text(parts.text())
            let value = text(parts.text())
            change(JobKey(tenant: tenant, id: parts.text())) { rows in
                if write.value != nil {
                    rows.metadata[name] = value
                } else if rows.metadata[name] == value {
                    rows.metadata[name] = nil
                }
            }
        default:
            let state = parts.byte()
            let changedAt = ~parts.number()
            change(JobKey(tenant: tenant, id: parts.text())) {
                $0.finished[write.key] = write.value.map { _ in (state, changedAt) }
            }
        }
    }

    // Families of pending rows.
    private static let (ready, date, delay, waiting): (UInt8, UInt8, UInt8, UInt8) = (0x20, 0x22, 0x23, 0x24)

    private func change(_ key: JobKey, _ body: (inout JobRows) throws -> Void) rethrows {
        touch(key)
        try body(&jobs[key, default: JobRows()])
    }

    /// The job is about to change: it is taken out of the sums.
    private func touch(_ key: JobKey) {
        guard touched.jobs[key] == nil else { return }
        let before = jobs[key] ?? JobRows()
        touched.jobs[key] = before
        count(key, before, -1)
    }

    // MARK: Sums

    private func count(_ key: JobKey, _ rows: JobRows, _ sign: Int64) {
        guard let job = rows.job else { return }
        let queue = Name(tenant: key.tenant, name: Bytes(job.taskGroup.utf8))
        var sum = counts[queue] ?? StorageV1.QueueCounts()
        func add(_ field: WritableKeyPath<StorageV1.QueueCounts, UInt64>, _ amount: Int) {
            sum[keyPath: field] = sum[keyPath: field] &+ UInt64(bitPattern: sign * Int64(amount))
        }
        for pending in rows.pending.values {
            switch pending.family {
            case Self.ready: add(\.ready, 1)
            case Self.delay: add(\.delays, 1)
            case Self.date: add(\.dates, 1)
            default:
                add(\.waiting, 1)
                waiting[pending.place, default: 0] = (waiting[pending.place] ?? 0) &+ UInt64(bitPattern: sign)
                touched.lines.insert(pending.place)
            }
        }
        if rows.lease != nil { add(\.leased, 1) }
        for finished in rows.finished.values {
            add(finished.state == 2 ? \.succeeded : finished.state == 3 ? \.failed : \.cancelled, 1)
        }
        counts[queue] = sum == StorageV1.QueueCounts() ? nil : sum
        touched.queues.insert(queue)
        countHolds(key, job, rows, sign)
    }

    private func countHolds(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows, _ sign: Int64) {
        guard !job.limits.isEmpty else { return }
        let holds = rows.pending.values.map(\.task.hold) + [rows.lease?.hold ?? nil]
        for case let hold? in holds where hold == drops[key.tenant] ?? 0 {
            for (limit, max) in slotLimits(job.limits) {
                let name = Name(tenant: key.tenant, name: limit)
                var sum = held[name] ?? Held()
                sum.count = sum.count &+ UInt64(bitPattern: sign)
                sum.byMax[max, default: 0] += Int(sign)
                if sum.byMax[max] == 0 { sum.byMax[max] = nil }
                held[name] = sum.count == 0 ? nil : sum
                touched.limits.insert(name)
            }
        }
        for pending in rows.pending.values where pending.task.reserved {
            for rate in rateLimits(job.limits) {
                let name = Name(tenant: key.tenant, name: Bytes(rate.name.utf8) + [47] + Bytes(rate.uniqueKey.utf8))
                let sum = (reserved[name] ?? 0) &+ UInt64(bitPattern: sign * Int64(rate.hits))
                reserved[name] = sum == 0 ? nil : sum
                touched.buckets.insert(name)
            }
        }
    }

    // MARK: Jobs

    private func check(_ key: JobKey, _ rows: JobRows, _ before: JobRows) {
        guard let job = rows.job else {
            if !rows.isEmpty { found.append("job \(key): J18: rows without a job") }
            return
        }
        checkPlaces(key, job, rows)
        checkPending(key, job, rows)
        checkHolds(key, job, rows)
        checkAttempts(key, job, rows)
        checkChange(key, job, rows, before)
        let isEnded = rows.ended.contains { $0.number == before.lease?.attempt }
        found += rates.check(key.tenant, job, before.lease, rows.lease, ended: isEnded).map { "job \(key): \($0)" }
    }

    private func checkPlaces(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { found.append("job \(key): \(text)") }
        if Bytes(job.id.utf8) != key.id { complain("J19: its row names \(job.id)") }
        let places = (rows.lease == nil ? 0 : 1) + rows.pending.count + rows.finished.count
        if places != 1 { complain("J2 J20 J29: stands in \(places) places") }
        if rows.metadata != job.metadata.mapValues({ TenantKeys.indexed($0) }) {
            complain("J30: metadata rows \(rows.metadata) are not \(job.metadata)")
        }

        let failedAt = rows.finished.values.filter { $0.state == 3 }.map(\.changedAt)
        if Array(rows.failed.values) != failedAt { complain("J29: failed at \(failedAt), the index says \(rows.failed.values)") }
        if let index = rows.finished.values.first {
            let period = Period(tenant: key.tenant, state: index.state, number: index.changedAt >> 20)
            if !periods.contains(period) { complain("J29: the index of periods does not name \(period.number)") }
            guard let status = rows.status else { return complain("J29: finished without a status") }
            if UInt8(truncatingIfNeeded: status.state.rawValue) != index.state
                || UInt64(max(0, status.changedAtMs)) != index.changedAt
            {
                complain("J29: index row \(index) does not match status \(status.state)")
            }
            if let last = status.lastAttempt {
                let cancelsFailure = status.state == .cancelled && last.outcome == .failed && status.cancelledAtMs != nil
                if last.outcome != status.state, !cancelsFailure {
                    complain("J39: \(status.state) after attempt \(last.outcome)")
                }
                if last.number != status.attempt {
                    complain("J39: attempt \(last.number) ended it, status says \(status.attempt)")
                }
            } else if status.state != .cancelled {
                complain("J7: \(status.state) without an attempt")
            }
        } else if let status = rows.status {
            if status.state != .scheduled { complain("J8 J9: status \(status.state) of a job that is not finished") }
            if status.cancelledAtMs != nil { complain("J10: a mark on a job that is not finished and holds no lease") }
            if status.lastAttempt != nil { complain("J7: an attempt ended a job that is not finished") }
        }
    }

    private func checkPending(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { found.append("job \(key): \(text)") }
        for pending in rows.pending.values {
            let task = pending.task
            let (attempt, start) = rows.status.map { ($0.attempt, $0.startMs) } ?? (1, job.startMs)
            if task.attempt != attempt || task.startMs != start {
                complain("J36: the pending task is not the one that its status names")
            }
            if pending.family != Self.waiting, pending.place.name != Bytes(job.taskGroup.utf8) {
                complain("J20: waits in another group")
            }
            if task.priority != job.priority { complain("J25: waits with priority \(task.priority), not \(job.priority)") }
            if let copy = task.job, copy != job { complain("J20: carries another job") }
            if pending.arrival != job.arrival { complain("J36: stands at arrival \(pending.arrival), not \(job.arrival)") }
            let scheduledAt = rows.status?.changedAtMs ?? job.createdAtMs
            if task.scheduledAtMs != scheduledAt {
                complain("J36: its task was scheduled at \(task.scheduledAtMs), not \(scheduledAt)")
            }
            let rank = UInt64(max(0, start ?? 0, scheduledAt)).addingReportingOverflow(
                UInt64(job.priority) * Self.agingMilliseconds)
            if [Self.ready, Self.waiting].contains(pending.family), pending.order != (rank.overflow ? .max : rank.partialValue) {
                complain("J25 J36: has rank \(pending.order), not \(rank.partialValue)")
            }
            guard [Self.delay, Self.date].contains(pending.family) else { continue }
            let delay = rows.status?.dueMs
            if pending.family != (delay == nil ? Self.date : Self.delay) {
                complain("J36: its timer waits for \(delay == nil ? "a length of time" : "a date")")
            }
            let due = delay ?? task.startMs
            if pending.order != UInt64(max(0, due)) { complain("J24 J36: its timer is at \(pending.order), not \(due)") }
        }
        if let lease = rows.lease {
            if lease.attempt != rows.status?.attempt ?? 1 { complain("J4: leased attempt \(lease.attempt), not the pending one") }
            if Bytes(lease.taskGroup.utf8) != Bytes(job.taskGroup.utf8) { complain("J3: leased in another group") }
        }
    }

    private func checkHolds(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { found.append("job \(key): \(text)") }
        for pending in rows.pending.values {
            let task = pending.task
            switch pending.family {
            case Self.ready where !job.limits.isEmpty && task.hold == nil: complain("L8: ready without its slots")
            case Self.delay where task.reserved: complain("L5 L13: waits for its time and has hits reserved")
            case Self.date where task.hold != nil || task.reserved: complain("L5 L13: waits for its time and has hits reserved")
            case Self.waiting where task.hold != nil || task.reserved: complain("L4 L14: waits and holds")
            default: break
            }
            if pending.family == Self.ready, !rateLimits(job.limits).isEmpty, !task.reserved, task.ratesPassed == 0 {
                complain("L8: ready without its hits")
            }
        }
        guard let lease = rows.lease else { return }
        let leased = Set(lease.slots.map { Bytes($0.utf8) })
        if lease.hold == nil, !leased.isEmpty { complain("L10: its lease holds slots and does not say since when") }
        if lease.hold != nil, leased != Set(slotLimits(job.limits).keys) { complain("L8 L10: its lease holds \(lease.slots)") }
    }

    private func checkAttempts(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { found.append("job \(key): \(text)") }
        let ended = rows.ended
        let numbers = ended.map(\.number)
        if Set(numbers).count != numbers.count { complain("J26: attempt numbers repeat: \(numbers)") }
        let pending = rows.pending.values.map(\.task.attempt) + (rows.lease.map { [$0.attempt] } ?? [])
        if let next = pending.first, let highest = numbers.max(), next <= highest {
            complain("J26: attempt \(next) comes after \(highest)")
        }
        for attempt in ended where attempt.outcome == .scheduled || attempt.outcome == .running {
            complain("J5: attempt \(attempt.number) did not end")
        }
        for id in ended.map(\.taskId) + (rows.lease.map { [$0.taskId] } ?? []) {
            if let other = taskIDs.updateValue(key, forKey: id), other != key {
                complain("J1 J19: shares a task id with \(other)")
            }
        }
    }

    /// What may follow what (J5, J6, J15, J27, J28).
    private func checkChange(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows, _ before: JobRows) {
        func complain(_ text: String) { found.append("job \(key): \(text)") }
        guard let old = before.job, old.createdAtMs == job.createdAtMs else { return }
        let now = Dictionary(rows.ended.map { ($0.number, $0) }) { first, _ in first }
        for attempt in before.ended where now[attempt.number] != attempt {
            // Erased and stored anew in one batch and one millisecond.
            guard !now.isEmpty || !rows.pending.isEmpty && job == old else { return }
            complain("J5 J15: attempt \(attempt.number) was \(attempt.outcome) and changed")
        }
        // Only what ends now: an import replaces the policy and keeps the attempts. What was leased past its turn, or imported,
        // counts relatively as it counts for ever.
        let known = Set(before.ended.map(\.number))
        for attempt in rows.ended where !known.contains(attempt.number) && attempt.relativeNumber != attempt.number {
            let allowed = UInt64(max(old.retryPolicy?.retryCount ?? 0, job.retryPolicy?.retryCount ?? 0)) + 1
            if attempt.relativeNumber > allowed { complain("J27: attempt \(attempt.relativeNumber) of its run") }
        }
        if before.status?.state == .succeeded, rows.finished.isEmpty, !now.isEmpty { complain("J6: succeeded, and goes on") }
        if let lease = before.lease, let next = rows.lease, lease.taskId != next.taskId, lease.attempt == next.attempt,
            lease.hold != nil || next.hold != nil
        {
            let isGivenBack = now[lease.attempt] == nil
            if !isGivenBack { complain("J23 J28: attempt \(lease.attempt) was leased anew after it ended") }
        }
    }

    // MARK: Sums against rows

    private func checkQueue(_ queue: Name) {
        var stored = directory[queue] ?? StorageV1.QueueCounts()
        stored.readyFrom = 0
        stored.datesFrom = 0
        stored.delaysFrom = 0
        let recount = counts[queue] ?? StorageV1.QueueCounts()
        if stored != recount { found.append("J31: queue \(queue) counts \(stored), a recount gives \(recount)") }
        if directory[queue] != nil, recount == StorageV1.QueueCounts() {
            found.append("J31: queue \(queue) has a row and no jobs")
        }
    }

    private func checkLimit(_ limit: Name) {
        let row = slots[limit]
        let drops = drops[limit.tenant] ?? 0
        let stored = row.map { $0.drops == drops ? $0.held : 0 } ?? 0
        let sum = held[limit] ?? Held()
        if stored != sum.count {
            found.append("limit \(limit): L2 L3 L12: \(stored) slots are held, a recount gives \(sum.count)")
        }
        // Floating limits may have been lowered since, and dropped holders still run.
        if drops == 0, sum.byMax[nil] == nil, let most = sum.byMax.keys.compactMap({ $0 }).max(), sum.count > most {
            found.append("limit \(limit): L1: \(sum.count) holders of \(most) slots")
        }
    }

    private func checkLine(_ line: Name) {
        let count = waiting[line] ?? 0
        if count == 0 { waiting[line] = nil }
        if count != lines[line]?.waiting ?? 0 {
            found.append("a line of \(text(line.tenant)): \(lines[line]?.waiting ?? 0) jobs wait, a recount gives \(count)")
        }
        for (key, rows) in touched.jobs.keys.map({ ($0, jobs[$0] ?? JobRows()) }) {
            for pending in rows.pending.values where pending.family == Self.waiting && pending.place == line {
                guard let stored = lines[line], let job = rows.job else { continue }
                if pending.order < stored.waitingFrom { found.append("job \(key): waits before waitingFrom") }
                if slotLimits(stored.limits) != slotLimits(job.limits) {
                    found.append("job \(key): L7: waits in a line of other limits")
                }
            }
        }
    }

    private func checkBucket(_ bucket: Name) {
        let (stored, sum) = (buckets[bucket]?.reserved ?? 0, reserved[bucket] ?? 0)
        if stored != sum { found.append("bucket \(bucket): \(stored) hits are reserved, a recount gives \(sum)") }
    }

    /// From now on the times are of another clock: what may start because of the time is not known until there was a rest.
    public func clockWasSet() { rates.clockWasSet() }

    /// Lines that wait although every one of their limits has room, when nothing is left to be done: lost wake-ups (L17, L22).
    /// Lines with rate limits are left out: time decides there.
    public var stuckLines: [String] {
        lines.compactMap { name, line in
            guard rateLimits(line.limits).isEmpty else { return nil }
            let hasRoom = slotLimits(line.limits).allSatisfy { limit, max in
                let name = Name(tenant: name.tenant, name: limit)
                let capacity = UInt64(max ?? slots[name]?.floating?.currentMax ?? 0)
                return !pausedLimits.contains(name) && held[name]?.count ?? 0 < capacity
            }
            return hasRoom
                ? "L17 L22: \(line.waiting) jobs of \(text(name.tenant)) wait for "
                    + "\(slotLimits(line.limits).keys.map(text).sorted()), which have room"
                : nil
        }.sorted()
    }
}

/// The keys of a job's concurrency and floating limits, with the fixed maximum where there is one.
private func slotLimits(_ limits: [StorageV1.Limit]) -> [Bytes: UInt32?] {
    var found: [Bytes: UInt32?] = [:]
    for limit in limits {
        switch limit.kind {
        case .concurrency(let slots): found.updateValue(slots.maxConcurrency, forKey: Bytes(slots.key.utf8))
        case .floating(let floating): found.updateValue(nil, forKey: Bytes(floating.key.utf8))
        default: break
        }
    }
    return found
}

func rateLimits(_ limits: [StorageV1.Limit]) -> [StorageV1.RateLimit] {
    limits.compactMap { if case .rate(let rate) = $0.kind { rate } else { nil } }
}

private func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }
