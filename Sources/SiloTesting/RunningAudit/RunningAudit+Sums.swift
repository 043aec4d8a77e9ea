import Protobuf
import SiloCore
import SiloStore

/// What jobs hold and how many stand where, counted from their rows, against what rows say of it.
extension RunningAudit {
    func count(_ key: JobKey, _ rows: JobRows, _ sign: Int64) {
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

    func countHolds(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows, _ sign: Int64) {
        guard !job.limits.isEmpty else { return }
        var holds = rows.pending.values.map { ($0.task.hold, $0.task.keyHold) }
        if let lease = rows.lease { holds.append((lease.hold, lease.keyHold)) }
        for (hold, keyHold) in holds where hold == drops[key.tenant] ?? 0 {
            for (limit, max) in slotLimits(job.limits) {
                let name = Name(tenant: key.tenant, name: limit)
                guard keyHold >= keyDrops(of: name, slots[name]) else {
                    let sum = (void[name] ?? 0) &+ UInt64(bitPattern: sign)
                    void[name] = sum == 0 ? nil : sum
                    touched.limits.insert(name)
                    continue
                }
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

    /// Older marks of the key hold nothing.
    func keyDrops(of limit: Name, _ row: StorageV1.Slots?) -> UInt64 {
        row.map { $0.drops == drops[limit.tenant] ?? 0 ? $0.keyDrops : 0 } ?? 0
    }

    func checkQueue(_ queue: Name) {
        guard !dropped.contains(queue.tenant) else { return }
        var stored = directory[queue] ?? StorageV1.QueueCounts()
        stored.readyFrom = 0
        stored.readyStartMs = 0
        stored.datesFrom = 0
        stored.delaysFrom = 0
        let recount = counts[queue] ?? StorageV1.QueueCounts()
        if stored != recount { found.append("J31: queue \(queue) counts \(stored), a recount gives \(recount)") }
        if directory[queue] != nil, recount == StorageV1.QueueCounts() {
            found.append("J31: queue \(queue) has a row and no jobs")
        }
    }

    func checkLimit(_ limit: Name) {
        guard !dropped.contains(limit.tenant) else { return }
        let row = slots[limit]
        let drops = drops[limit.tenant] ?? 0
        let stored = row.map { $0.drops == drops ? $0.held : 0 } ?? 0
        let sum = held[limit] ?? Held()
        if stored != sum.count {
            found.append("limit \(limit): L2 L3 L12: \(stored) slots are held, a recount gives \(sum.count)")
        }
        let voided = row.map { $0.drops == drops ? $0.voidHolds : 0 } ?? 0
        if voided != void[limit] ?? 0 {
            found.append("limit \(limit): L2 L12: \(voided) marks are void, a recount gives \(void[limit] ?? 0)")
        }
        // Floating limits may have been lowered since, and dropped holders still run.
        if drops == 0, sum.byMax[nil] == nil, let most = sum.byMax.keys.compactMap({ $0 }).max(), sum.count > most {
            found.append("limit \(limit): L1: \(sum.count) holders of \(most) slots")
        }
    }

    func checkLine(_ line: Name) {
        guard !dropped.contains(line.tenant) else { return }
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

    func checkBucket(_ bucket: Name) {
        guard !dropped.contains(bucket.tenant) else { return }
        let (stored, sum) = (buckets[bucket]?.reserved ?? 0, reserved[bucket] ?? 0)
        if stored != sum { found.append("bucket \(bucket): \(stored) hits are reserved, a recount gives \(sum)") }
    }

    /// Lines that wait although every one of their limits has room, when nothing is left to be done: lost wake-ups (L17, L22).
    /// Lines with rate limits are left out: time decides there.
    public var stuckLines: [String] {
        lines.compactMap { name, line in
            guard rateLimits(line.limits).isEmpty, !dropped.contains(name.tenant) else { return nil }
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
