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
    /// Why the worker could not go on at its last try: there is no space.
    private(set) var stalled: StoreError?
    /// Of the store below, while a checkpoint waits for it.
    var clockLag: ClockLag?

    init(overlay: LoggedRows, lastSequence: UInt64) {
        active = overlay
        self.lastSequence = lastSequence
        durableSequence = lastSequence
    }

    var view: LoggedRowsView { LoggedRowsView(active: active, frozen: frozen?.overlay) }
    var overlayBytes: Int { active.bytes + (frozen?.overlay.bytes ?? 0) }
    var isFrozen: Bool { frozen != nil }

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

    // MARK: Writing

    mutating func apply(_ batch: [Write], _ encoded: Bytes) {
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

    /// Everything before `rest` is in the log.
    /// - Returns: those that it answers.
    mutating func written(_ rest: LogWriter.Pending) -> [Waiter] {
        durableSequence = rest.firstSequence - 1
        if rest.batches.isEmpty { stalled = nil }
        let answered = waiters.filter { $0.sequence <= durableSequence }.map(\.waiter)
        waiters.removeAll { $0.sequence <= durableSequence }
        return answered
    }

    /// There is no space for `rest`. It waits in the buffer until it is tried again.
    /// - Returns: those that it fails.
    mutating func stall(_ rest: LogWriter.Pending, _ error: StoreError) -> [Waiter] {
        pending = Array(rest.batches) + pending
        pendingBytes += rest.batches.reduce(0) { $0 + $1.count }
        stalled = error
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

    /// The frozen overlay is below.
    mutating func thaw() { frozen = nil }

    // MARK: The end

    /// False when it is closing, or closed.
    mutating func beginClosing() -> Bool {
        guard case .open = phase else { return false }
        phase = .closing
        return true
    }

    mutating func close() {
        phase = .closed
        active = LoggedRows()
        frozen = nil
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
