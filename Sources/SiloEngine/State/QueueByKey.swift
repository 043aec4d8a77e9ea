import SiloCore
import SiloStore

/// A queue where its keys stand among those of other queues.
struct QueueByKey: Comparable {
    let queue: Queue
    private let hash: TenantHash

    init(_ queue: Queue) {
        self.queue = queue
        hash = queue.id.tenant.hash
    }

    /// Where it stands, for whoever comes again when it may be gone.
    struct Place: Sendable {
        fileprivate let hash: TenantHash
        fileprivate let start: Bytes
    }
    var place: Place { Place(hash: hash, start: queue.readyRows.start) }

    /// It stands before all queues of tenants with a hash.
    func isBefore(_ other: TenantHash) -> Bool { hash < other }
    func has(_ other: TenantHash) -> Bool { hash == other }

    /// It stands at a place, or before it.
    func isPassed(_ place: Place) -> Bool {
        if hash != place.hash { return hash < place.hash }
        return !place.start.lexicographicallyPrecedes(queue.readyRows.start)
    }

    static func == (left: QueueByKey, right: QueueByKey) -> Bool { left.queue === right.queue }

    static func < (left: QueueByKey, right: QueueByKey) -> Bool {
        if left.hash != right.hash { return left.hash < right.hash }
        return left.queue.readyRows.start.lexicographicallyPrecedes(right.queue.readyRows.start)
    }
}

extension Queue {
    /// Where its ready rows lie.
    var readyRows: (start: Bytes, end: Bytes) { keys.ready(id.group, from: Position(from: 0)) }
}

/// Rows taken from a queue since the store dropped what had been deleted before. When it does so is not known: it is taken to
/// keep about as many deleted rows as one shard deletes in a `period`.
struct TakenRows {
    static let period = 1 << 20
    private var number = 0
    private var inPeriod = 0

    /// - Parameter all: rows taken from all queues of the shard so far.
    mutating func add(after all: Int) {
        number = count(after: all) + 1
        inPeriod = all / Self.period
    }

    func count(after all: Int) -> Int { all / Self.period == inPeriod ? number : 0 }
}
