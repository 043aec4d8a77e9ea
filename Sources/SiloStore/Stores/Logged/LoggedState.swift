import SiloCore
import SlateDB

/// What a `LoggedStore` knows, without its files: decisions only.
struct LoggedState {
    enum Phase {
        case open
        /// Writes nothing more of its own accord; what is there is moved below.
        case closing
        case closed
        /// Nothing more becomes durable.
        case failed(StoreError)
    }
    typealias Waiter = CheckedContinuation<Void, any Error>

    private(set) var phase = Phase.open
    private var active: LoggedRows
    /// On its way below, up to its last batch.
    private var frozen: (overlay: LoggedRows, sequence: UInt64)?
    /// How often an overlay was frozen: what lies below changes only after that.
    private(set) var freezes = 0
    private(set) var lastSequence: UInt64
    private(set) var durableSequence: UInt64
    /// Encoded batches that are not in the log, the last one being `lastSequence`.
    private var pending: [Bytes] = []
    private var pendingBytes = 0
    private var waiters: [(sequence: UInt64, waiter: Waiter)] = []
    /// The log's worker is at it.
    private var isWriting = false
    /// What the worker could not write at its last try waits, for there was no space.
    private(set) var isStalled = false
    /// Why nothing goes below, while a checkpoint waits.
    var obstacle: StoreError?
    /// What the store below says of the log, as far as is known.
    private(set) var position: LogPosition

    // MARK: Refusals

    /// There is no space for the log, or soon none.
    private(set) var noSpace: StoreError?
    /// Memory or log are full, and nothing goes below.
    private(set) var noRoom: StoreError?
    /// Somebody looks whether there is space.
    private(set) var watchesSpace = false
    /// Bytes that were written since then all the same.
    private var overdraft = 0

    init(overlay: LoggedRows, lastSequence: UInt64, position: LogPosition) {
        active = overlay
        self.lastSequence = lastSequence
        self.position = position
        durableSequence = lastSequence
    }

    var view: LoggedRowsView { LoggedRowsView(active: active, frozen: frozen?.overlay) }
    var overlayBytes: Int { active.bytes + (frozen?.overlay.bytes ?? 0) }
    var isFrozen: Bool { frozen != nil }
    /// The store below knows of the log.
    var isMarked: Bool { !position.isWhole }

    /// Nil: reads are served.
    var refusal: StoreError? {
        switch phase {
        case .open, .closing: nil
        case .closed: .unavailable("the store is closed")
        case .failed(let error): error
        }
    }

    /// Nil: writes are taken.
    var writeRefusal: StoreError? {
        if case .closing = phase { return .unavailable("the store is closed") }
        return refusal
    }

    /// Why no change should begin.
    var shortage: StoreError? { refusal == nil ? noSpace ?? noRoom : nil }

    /// - Returns: whether that is news.
    mutating func setNoSpace(_ error: StoreError?) -> Bool {
        defer { forgiveOverdraft() }
        let isNews = (noSpace == nil) != (error == nil)
        if isNews { noSpace = error }
        return isNews
    }

    /// Whether a shortage of space has nobody yet who looks for its end; from now on it has.
    mutating func beginsWatchingSpace() -> Bool {
        guard noSpace != nil, refusal == nil, !watchesSpace else { return false }
        watchesSpace = true
        return true
    }

    /// Whether to look again.
    mutating func goesOnWatchingSpace() -> Bool {
        watchesSpace = noSpace != nil && refusal == nil
        return watchesSpace
    }

    mutating func setNoRoom(_ error: StoreError?) -> Bool {
        defer { forgiveOverdraft() }
        let isNews = (noRoom == nil) != (error == nil)
        if isNews { noRoom = error }
        return isNews
    }

    private mutating func forgiveOverdraft() { if shortage == nil { overdraft = 0 } }

    // MARK: Writing

    /// - Parameter overdraftMax: what may be written while changes should not begin, in bytes.
    mutating func apply(_ batch: [Write], _ encoded: Bytes, overdraftMax: Int) throws(StoreError) {
        if let writeRefusal { throw writeRefusal }
        if let shortage {
            guard overdraft + encoded.count <= overdraftMax else { throw shortage }
            overdraft += encoded.count
        }
        active.apply(batch, above: frozen?.overlay)
        lastSequence += 1
        pending.append(encoded)
        pendingBytes += encoded.count
    }

    /// Whether the worker has to be woken for what is buffered.
    mutating func startsWriting(atLeast bytes: Int = 0) -> Bool {
        guard !isWriting, !pending.isEmpty, pendingBytes >= bytes else { return false }
        isWriting = true
        return true
    }

    /// Adds somebody who waits until all that is written is in the log. False: it is, or nothing more gets there.
    mutating func wait(_ waiter: Waiter) -> Bool {
        guard refusal == nil, durableSequence < lastSequence else { return false }
        waiters.append((lastSequence, waiter))
        return true
    }

    var isDurable: Bool { durableSequence == lastSequence }

    /// What the worker writes next; nil: nothing, and it has stopped.
    mutating func takePending() -> LogWriter.Pending? {
        guard refusal == nil, !pending.isEmpty else {
            isWriting = false
            return nil
        }
        defer {
            pending = []
            pendingBytes = 0
        }
        return LogWriter.Pending(firstSequence: durableSequence + 1, batches: pending[...])
    }

    /// Whether the worker has to come back for what was buffered meanwhile. If not, it has stopped.
    mutating func goesOnWriting() -> Bool {
        isWriting = refusal == nil && !pending.isEmpty
        return isWriting
    }

    /// Everything before `rest` is in the log.
    /// - Returns: those that it answers.
    mutating func written(_ rest: LogWriter.Pending) -> [Waiter] {
        durableSequence = rest.firstSequence - 1
        if rest.batches.isEmpty { isStalled = false }
        let answered = waiters.filter { $0.sequence <= durableSequence }.map(\.waiter)
        waiters.removeAll { $0.sequence <= durableSequence }
        return answered
    }

    /// There is no space for `rest`. It waits in the buffer until it is tried again.
    /// - Returns: those that it fails.
    mutating func stall(_ rest: LogWriter.Pending) -> [Waiter] {
        pending = Array(rest.batches) + pending
        pendingBytes += rest.batches.reduce(0) { $0 + $1.count }
        isStalled = true
        isWriting = false
        defer { waiters = [] }
        return waiters.map(\.waiter)
    }

    // MARK: Checkpoints

    /// What is to go below next: everything written so far, or what was frozen before and did not get there.
    mutating func freeze() -> (overlay: LoggedRows, sequence: UInt64) {
        if let frozen { return frozen }
        let next = (active, lastSequence)
        freezes += 1
        frozen = next
        active = LoggedRows()
        return next
    }

    /// The frozen overlay is below, which says so.
    mutating func thaw(_ position: LogPosition) {
        frozen = nil
        self.position = position
    }

    // MARK: The end

    /// False when it is closing, or closed.
    mutating func beginClosing() -> Bool {
        guard case .open = phase else { return false }
        phase = .closing
        return true
    }

    /// Nothing is read or written any more.
    /// - Returns: those that wait still, for what is not going to come.
    mutating func close() -> [Waiter] {
        phase = .closed
        active = LoggedRows()
        frozen = nil
        pending = []
        defer { waiters = [] }
        return waiters.map(\.waiter)
    }

    /// Nothing more becomes durable. The first reason counts.
    /// - Returns: those that it fails.
    mutating func fail(_ error: StoreError) -> [Waiter] {
        guard refusal == nil else { return [] }
        phase = .failed(error)
        pending = []
        defer { waiters = [] }
        return waiters.map(\.waiter)
    }
}
