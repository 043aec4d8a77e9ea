import Protobuf
import SiloCore
import SiloStore

/// What must hold of one job, and between what it was and what it is.
extension RunningAudit {
    func check(_ key: JobKey, _ rows: JobRows, _ before: JobRows) {
        guard !dropped.contains(key.tenant) else { return checkNothingComes(key, rows, before) }
        guard let job = rows.job else {
            if !rows.isEmpty { found.append("job \(key): J18: rows without a job") }
            return
        }
        checkPlaces(key, job, rows)
        checkPending(key, job, rows)
        checkHolds(key, job, rows)
        checkAttempts(key, job, rows)
        checkKept(key, job, rows)
        checkChange(key, job, rows, before)
        let isEnded = rows.ended.contains { $0.number == before.lease?.attempt }
        found += rates.check(key.tenant, job, before.lease, rows.lease, ended: isEnded).map { "job \(key): \($0)" }
    }

    func checkPlaces(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
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
            let period = Period(tenant: key.tenant, state: index.state, number: index.changedAt >> 16)
            if index.record.keptUntilMs == 0, !periods.contains(period) {
                complain("J29: the index of periods does not name \(period.number)")
            }
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

    /// What says how long a finished job is kept says the same as the job.
    func checkKept(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
        func complain(_ text: String) { found.append("job \(key): J38: \(text)") }
        guard let (_, changedAt, record) = rows.finished.values.first, let status = rows.status else {
            if !rows.keptUntil.isEmpty { complain("goes at a time of its own and is not finished") }
            return
        }
        if Bytes(record.taskGroup.utf8) != Bytes(job.taskGroup.utf8) { complain("finished in group \(record.taskGroup)") }
        if record.attempts != status.attempt { complain("finished with \(record.attempts) attempts, not \(status.attempt)") }
        if record.bare, !job.metadata.isEmpty { complain("its row says that it has no metadata") }
        let expected = job.retainMs > 0 ? (Timestamp(Int64(clamping: changedAt)) + job.retainMs).milliseconds : 0
        if record.keptUntilMs != expected { complain("kept until \(record.keptUntilMs), not \(expected)") }
        if rows.keptUntil.values.map(\.time) != (expected == 0 ? [] : [UInt64(expected)]) {
            complain("its rows say that it goes at \(rows.keptUntil.values.map(\.time)), not at \(expected)")
        }
        if let own = rows.keptUntil.values.first?.record {
            var same = record
            same.state = status.state
            same.changedAtMs = status.changedAtMs
            if own != same { complain("its rows among finished ones differ") }
        }
    }

    func checkPending(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
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

    func checkHolds(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
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

    func checkAttempts(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows) {
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
    func checkChange(_ key: JobKey, _ job: StorageV1.Job, _ rows: JobRows, _ before: JobRows) {
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
}
