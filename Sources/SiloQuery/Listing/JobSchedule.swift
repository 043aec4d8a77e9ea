import Protobuf
package import SiloCore
package import SiloStore

/// Counts the jobs that wait for their time by when they start, as far as its budget goes, soonest first.
package struct JobSchedule: Sendable {
    /// The jobs of a tenant and task group that wait for dates, or for lengths of time to pass.
    package struct Queue: Sendable {
        let shard: Int
        let tenant: Tenant
        let group: TaskGroup
        let isDelay: Bool
        let order: UInt64

        /// - Parameters:
        ///   - shard: the number of its shard among those that are asked.
        ///   - order: none is due earlier, by its own clock.
        package init(shard: Int, tenant: Tenant, group: TaskGroup, isDelay: Bool, order: UInt64) {
            self.shard = shard
            self.tenant = tenant
            self.group = group
            self.isDelay = isDelay
            self.order = order
        }
    }

    package struct Answer: Sendable {
        package var slots: [UInt64]
        /// Whether the counts are whole only until a time; nil: they are.
        package var wholeUntil: Timestamp?
        package var jobs: [ListedJob] = []
        /// Whose timers cannot be read: of these only the shard, the tenant, the id and the start are known. They are counted.
        package var unreadable: [ListedJob] = []
    }
    private let shards: [ScannedShard]
    private let from: Timestamp
    private let slotMilliseconds: Int64
    private let slots: Int
    private let jobsMax: Int
    private let budget: JobListing.Budget
    private let clock: any Clock

    /// - Parameters:
    ///   - slotMilliseconds: the length of a span, at least 1, at most ten years; there are `slots` of them, 1 to 1000.
    ///   - jobsMax: that are told one by one, with those whose timers cannot be read.
    package init(
        of shards: [ListedShard], from: Timestamp, slotMilliseconds: Int64, slots: Int, jobsMax: Int,
        budget: JobListing.Budget = JobListing.Budget(), clock: any Clock
    ) {
        self.shards = ListedShard.scanned(shards, clock)
        self.from = from
        self.slotMilliseconds = slotMilliseconds
        self.slots = slots
        self.jobsMax = jobsMax
        self.budget = budget
        self.clock = clock
    }

    /// The queues of a tenant, on a shard, and how many jobs wait in them.
    package func queues(
        of tenant: Tenant, _ number: Int, groups: Set<TaskGroup>?
    ) async throws(StoreError) -> (queues: [Queue], scheduled: UInt64) {
        var (queues, scheduled): ([Queue], UInt64) = ([], 0)
        for row in try await Part.tenant(tenant).directory(shards[number].reader) where groups?.contains(row.group) ?? true {
            scheduled += row.counts.dates + row.counts.delays
            func add(isDelay: Bool, _ count: UInt64, from order: UInt64) {
                guard count > 0 else { return }
                queues.append(Queue(shard: number, tenant: tenant, group: row.group, isDelay: isDelay, order: order))
            }
            add(isDelay: false, row.counts.dates, from: row.counts.datesFrom)
            add(isDelay: true, row.counts.delays, from: row.counts.delaysFrom)
        }
        return (queues, scheduled)
    }

    package func answer(_ queues: [Queue]) async throws(StoreError) -> Answer {
        let deadline = clock.steady + budget.milliseconds
        let end = from.milliseconds + slotMilliseconds * Int64(slots)
        var answer = Answer(slots: Array(repeating: 0, count: slots))
        var heads: [Head] = []
        let wanted = max(2, min(64, 2000 / max(1, queues.count)))
        // The soonest last.
        var unread = queues.map { (queue: $0, due: due($0)) }.sorted { $0.due > $1.due }
        var next: Int64 { min(heads.last?.due ?? .max, unread.last?.due ?? .max) }
        var hasRoom: Bool { answer.jobs.count + answer.unreadable.count < jobsMax }
        var count = 0
        while true {
            // Whatever may have something that starts sooner than all that is known.
            while let queue = unread.last, queue.due <= heads.last?.due ?? .max, next < end || hasRoom {
                guard count == 0 || clock.steady < deadline else { break }
                let rows = rows(of: queue.queue, wanted: wanted)
                if let row = try await rows.next(), let head = Head(row, rows) { heads.insertSorted(head) }
                unread.removeLast()
            }
            guard next < end || hasRoom else { break }
            if count >= budget.jobs || count > 0 && clock.steady >= deadline {
                if !heads.isEmpty || !unread.isEmpty { answer.wholeUntil = Timestamp(next) }
                break
            }
            guard let head = heads.popLast() else { break }
            count += 1
            let slot = Int(clamping: (max(head.due, from.milliseconds) - from.milliseconds) / slotMilliseconds)
            if slot < slots { answer.slots[slot] += 1 }
            if hasRoom { list(head, in: &answer) }
            if let row = try await head.rows.next(), let next = Head(row, head.rows) { heads.insertSorted(next) }
        }
        return answer
    }

    /// None of the queue starts earlier, in milliseconds of dates.
    private func due(_ queue: Queue) -> Int64 {
        let due = Timestamp(Int64(clamping: queue.order))
        return queue.isDelay ? shards[queue.shard].moment.date(of: due).milliseconds : due.milliseconds
    }

    private func rows(of queue: Queue, wanted: Int) -> ListedRows {
        let keys = TenantKeys(queue.tenant)
        let first = Position(from: queue.order)
        let range = queue.isDelay ? keys.delays(queue.group, from: first) : keys.dates(queue.group, from: first)
        let listed = ListedRange(queue.shard, range) { .timers($0, isSteady: queue.isDelay, [.scheduled, .waiting]) }
        return ListedRows(listed, needs: [], wanted: wanted, shards)
    }

    /// Tells what the row itself says.
    private func list(_ head: Head, in answer: inout Answer) {
        let row = head.row
        var job = ListedJob(
            shard: shards[head.rows.range.shard].id, tenant: Tenant(row.tenant.string(in: row.key)), id: row.jobID)
        job.nextStart = head.due
        guard let task = try? StorageV1.Task(serializedBytes: row.task ?? []) else { return answer.unreadable.append(job) }
        job.group = task.job?.taskGroup ?? task.taskGroup
        (job.attempt, job.priority, job.changedAt) = (task.attempt, task.priority, task.scheduledAtMs)
        job.enqueuedAt = task.job?.createdAtMs ?? 0
        job.status = "\((row.status ?? .scheduled).name)"
        answer.jobs.append(job)
    }
}

/// The next job of a queue.
private struct Head {
    let due: Int64
    let row: JobRow
    let rows: ListedRows

    init?(_ row: JobRow, _ rows: ListedRows) {
        guard let due = row.nextStart else { return nil }
        (self.due, self.row, self.rows) = (due, row, rows)
    }
}

extension [Head] {
    /// The soonest stands last, where it is taken from.
    fileprivate mutating func insertSorted(_ head: Head) {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if head.due < self[middle].due { low = middle + 1 } else { high = middle }
        }
        insert(head, at: low)
    }
}
