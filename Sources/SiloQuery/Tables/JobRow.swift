import SiloCore
import SiloStore

/// A job as far as its scan has read it.
struct JobRow: Sendable {
    /// Where `tenant` and `id` lie.
    let key: Bytes
    let tenant: KeyText
    let id: KeyText
    /// Of a scan that says it; nil: it follows from the records.
    var status: ShownStatus?
    var changedAt: Int64?
    /// When the pending attempt starts, of a scan that says it.
    var nextStart: Int64?
    /// The stored `Job`, or what holds it, and where it lies in that.
    var job: Bytes?
    var jobRange = 0..<0
    var statusRecord: Bytes?
    var lease: Bytes?
    /// The row of the pending attempt.
    var task: Bytes?
    /// What the row of a finished job says.
    var finished: Bytes?
    /// Where the task group lies in the key, if it does.
    var group: KeyText?
    let shard: Int

    init(key: Bytes, tenant: KeyText, id: KeyText, shard: Int) {
        self.key = key
        self.tenant = tenant
        self.id = id
        self.shard = shard
    }

    var bytes: Int {
        key.count + (job?.count ?? 0) + (statusRecord?.count ?? 0) + (lease?.count ?? 0) + (task?.count ?? 0)
            + (finished?.count ?? 0)
    }
}

/// What of a job the columns of a statement need, besides tenant and id.
struct JobNeeds: OptionSet, Sendable {
    let rawValue: UInt8
    /// What was asked for: priority, payload, metadata and the like.
    static let record = JobNeeds(rawValue: 1)
    /// Which status it has.
    static let status = JobNeeds(rawValue: 2)
    /// When it changed, and the pending attempt.
    static let details = JobNeeds(rawValue: 4)
    /// Its task group, which rows of pending attempts name too.
    static let group = JobNeeds(rawValue: 8)
    /// How a failed job's last attempt ended.
    static let outcome = JobNeeds(rawValue: 16)
}

/// What the records of a job say of its status.
struct JobStatusView {
    let status: ShownStatus
    let changedAt: Int64
    /// Of the pending attempt.
    let attempt: UInt32?
    let nextStart: Int64?

    /// Nil: a record cannot be read.
    init?(lease: Bytes?, record: Bytes?, created: Int64, start: Int64, at moment: Moment) {
        if let lease {
            guard let fields = lease.withUnsafeBufferPointer({ LeaseFields($0) }) else { return nil }
            self.init(.running, changedAt: fields.startedAt)
            return
        }
        guard let record else {
            self.init(pending: start, changedAt: created, attempt: 1, at: moment)
            return
        }
        guard let fields = record.withUnsafeBufferPointer({ StatusFields($0) }) else { return nil }
        if let finished = ShownStatus(finished: UInt8(clamping: fields.state)) {
            self.init(finished, changedAt: fields.changedAt)
            return
        }
        let due = fields.due.map { moment.date(of: Timestamp($0)).milliseconds } ?? fields.start
        self.init(pending: due, changedAt: fields.changedAt, attempt: fields.attempt, at: moment)
    }

    init(_ status: ShownStatus, changedAt: Int64, attempt: UInt32? = nil, nextStart: Int64? = nil) {
        self.status = status
        self.changedAt = changedAt
        self.attempt = attempt
        self.nextStart = nextStart
    }

    private init(pending start: Int64?, changedAt: Int64, attempt: UInt32, at moment: Moment) {
        let isFuture = start.map { $0 > moment.wall.milliseconds } ?? false
        self.init(isFuture ? .scheduled : .waiting, changedAt: changedAt, attempt: attempt, nextStart: start)
    }
}
