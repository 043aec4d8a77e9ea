import SiloCore

/// What a worker knows of one lease: until when it holds it for certain, and when to renew it. All on the worker's steady clock.
///
/// The server counts a lease from the moment at which it gave it or took a heartbeat. The worker sees neither, but both come
/// after it sent the request: counted from there, the worker's term ends before the server's, however long an answer was on its
/// way.
///
/// A request for work may have waited for most of a lease when its answer comes. Such a lease may be nearly over, or fresh: the
/// worker asks with a heartbeat, and starts the handler when it is answered.
struct LeaseTerm: Sendable {
    /// Milliseconds.
    let length: Int64
    let interval: Int64
    /// Until when the lease is held for certain; before it is confirmed, until when that is waited for.
    private(set) var heldUntil: Timestamp
    private(set) var isConfirmed: Bool
    private var nextBeat: Timestamp
    /// When those that were not answered were sent, oldest first.
    private var underWay: [Timestamp] = []
    private var isLost = false

    /// Heartbeats without an answer at once. One that hangs must not keep the next from being sent.
    private static let underWayMax = 4
    private static let standardLength: Int64 = 10_000
    private static let lengthMax: Int64 = 86_400_000

    /// - Parameters:
    ///   - length: as the server says; 0 means that it does not.
    ///   - interval: between heartbeats; a third of the lease is the most.
    ///   - asked: when the request was sent whose answer brought the lease.
    init(length: Int64, interval: Int64?, asked: Timestamp, now: Timestamp) {
        self.length = length > 0 ? min(length, Self.lengthMax) : Self.standardLength
        self.interval = max(1, min(interval ?? .max, self.length / 3))
        isConfirmed = now - asked < self.length / 3 * 2
        heldUntil = (isConfirmed ? asked : now) + self.length
        nextBeat = isConfirmed ? asked + self.interval : now
    }

    func isOver(at now: Timestamp) -> Bool { now >= heldUntil }

    /// When the next heartbeat is to be sent; never while too many are under way.
    var nextBeatAt: Timestamp { underWay.count < Self.underWayMax ? nextBeat : .distantFuture }

    /// Whether a heartbeat is to be sent now; it counts as sent then.
    mutating func takeBeat(at now: Timestamp) -> Bool {
        guard now >= nextBeat, underWay.count < Self.underWayMax else { return false }
        nextBeat = now + interval
        underWay.append(now)
        return true
    }

    mutating func acknowledge(beatOf sent: Timestamp) {
        guard !isLost else { return }
        forget(sent)
        isConfirmed = true
        heldUntil = max(heldUntil, sent + length)
    }

    /// A heartbeat came to nothing: the next goes out soon.
    mutating func fail(beatOf sent: Timestamp, at now: Timestamp) {
        guard !isLost else { return }
        forget(sent)
        nextBeat = min(nextBeat, now + max(1, min(interval / 3, 1000)))
    }

    /// The lease is gone for good: it is renewed no more, and no answer to what was sent before says anything of it.
    mutating func lose() {
        isLost = true
        underWay = []
        nextBeat = .distantFuture
    }

    /// When the oldest heartbeat was sent that should have been answered by now; nil when none should.
    func overdueBeat(at now: Timestamp) -> Timestamp? { underWay.first.flatMap { now - $0 >= interval ? $0 : nil } }

    private mutating func forget(_ sent: Timestamp) {
        if let index = underWay.firstIndex(of: sent) { underWay.remove(at: index) }
    }
}
