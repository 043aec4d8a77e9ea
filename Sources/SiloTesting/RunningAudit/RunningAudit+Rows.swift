import Protobuf
import SiloCore
import SiloStore

/// How the audit reads rows, with its own eyes.
extension RunningAudit {
    func take(_ write: Write) throws {
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
        case 0x40...0x47: try takeKept(family, write, &parts)
        case 0x7f: setAside += write.value == nil ? -1 : 1
        default: found.append("unknown family \(family)")
        }
    }

    func takeShardWide(_ write: Write) {
        if write.key == [1, 2] { slices = write.value ?? [] }
        if write.key.starts(with: [1, 0x7f]) { setAside += write.value == nil ? -1 : 1 }
    }

    /// A row lies in the slice of its tenant, and opening knows of the slice.
    func checkSlice(_ write: Write) {
        guard write.value != nil, write.key.count > 2 else { return }
        let number = Int(write.key[0] - 0x10) << 8 | Int(write.key[1])
        touched.slices.insert(number)
        let family = write.key[2]
        guard family < 0x7f else { return }
        var parts = KeyParts(write.key, skipping: [0x45, 0x47].contains(family) ? 11 : family == 0x46 ? 12 : 3)
        let hash = parts.number()
        if hash >> 54 != UInt64(number) { found.append("a row of hash \(hash) lies in slice \(number)") }
    }

    func takeIndex(_ family: UInt8, _ write: Write, _ tenant: Bytes, _ parts: inout KeyParts) throws {
        switch family {
        case 0x02:
            let name = Name(tenant: tenant, name: parts.text())
            directory[name] = try write.value.map { try StorageV1.QueueCounts(serializedBytes: $0) }
            touched.queues.insert(name)
        case 0x04:
            for key in jobs.keys where key.tenant == tenant { touch(key) }
            let state = try write.value.map { try StorageV1.TenantState(serializedBytes: $0) }
            drops[tenant] = state?.drops
            if state?.drop != nil, dropped.insert(tenant).inserted { rates.forget(tenant) }
            if state?.drop == nil, dropped.remove(tenant) != nil { touched.gone.insert(tenant) }
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

    func takeShortLived(_ family: UInt8, _ write: Write, _ tenant: Bytes, _ parts: inout KeyParts) throws {
        switch family {
        case 0x21:
            try change(JobKey(tenant: tenant, id: parts.text())) {
                $0.lease = try write.value.map { try StorageV1.Lease(serializedBytes: $0) }
            }
        case 0x25:
            let name = Name(tenant: tenant, name: parts.text())
            let record = try write.value.map { try StorageV1.Slots(serializedBytes: $0) }
            // From now on other marks count.
            if keyDrops(of: name, record) != keyDrops(of: name, slots[name]) {
                for key in jobs.keys where key.tenant == tenant { touch(key) }
            }
            slots[name] = record
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

    func takeKept(_ family: UInt8, _ write: Write, _ parts: inout KeyParts) throws {
        switch family {
        case 0x45:
            let changedAt = ~parts.number()
            parts.skip(8)
            change(JobKey(tenant: parts.text(), id: parts.text())) { $0.failed[write.key] = write.value.map { _ in changedAt } }
            return
        case 0x46:
            let state = parts.byte()
            let period = parts.number()
            parts.skip(8)
            let name = Period(tenant: parts.text(), state: state, number: period)
            if write.value == nil { periods.remove(name) } else { periods.insert(name) }
            return
        case 0x47:
            let time = parts.number()
            parts.skip(8)
            try change(JobKey(tenant: parts.text(), id: parts.text())) {
                $0.keptUntil[write.key] = try write.value.map { (time, try StorageV1.FinishedJob(serializedBytes: $0)) }
            }
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
            try change(JobKey(tenant: tenant, id: parts.text())) {
                $0.finished[write.key] = try write.value.map {
                    (state, changedAt, try StorageV1.FinishedJob(serializedBytes: $0))
                }
            }
        }
    }

    // Families of pending rows.
    static let (ready, date, delay, waiting): (UInt8, UInt8, UInt8, UInt8) = (0x20, 0x22, 0x23, 0x24)

    func change(_ key: JobKey, _ body: (inout JobRows) throws -> Void) rethrows {
        touch(key)
        try body(&jobs[key, default: JobRows()])
    }

    /// The job is about to change: it is taken out of the sums.
    func touch(_ key: JobKey) {
        guard touched.jobs[key] == nil else { return }
        let before = jobs[key] ?? JobRows()
        touched.jobs[key] = before
        count(key, before, -1)
    }
}
