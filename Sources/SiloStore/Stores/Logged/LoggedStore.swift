public import SiloCore
public import SlateDB
import Synchronization

/// A store whose log is on a local disk: what is written lies in memory, above a sorted store, and in the log; now and then all
/// of it is moved below in bulk, and the log is free again. What the store below has not made durable by itself may be lost
/// there: the log has it.
public final class LoggedStore: KeyValueStore {
    let state: Mutex<LoggedState>
    let place: LogPlace
    let writer: LogWriter
    let log: LogIdentity
    let account: LogAccount
    let bell: CheckpointBell
    /// Of `LogLoad`, what is counted.
    let moves = Mutex(LogLoad())
    private let lower: Mutex<Lower>
    private let checkpoints = Mutex<Task<Void, Never>?>(nil)
    let closing = Mutex<Task<StoreError?, Never>?>(nil)

    init(
        _ state: LoggedState, over below: any KeyValueStore, _ place: LogPlace, _ writer: LogWriter, _ log: LogIdentity,
        _ account: LogAccount, bell: CheckpointBell
    ) {
        self.state = Mutex(state)
        lower = Mutex(Lower(store: below))
        self.place = place
        self.writer = writer
        self.log = log
        self.account = account
        self.bell = bell
    }

    var budget: LogBudget { account.budget }

    /// Begins to move rows below when it is asked to.
    func start() {
        let task = place.environment.start { await self.runCheckpoints() }
        checkpoints.withLock { $0 = task }
        place.worker.run { self.noteSpace() }
    }

    func untilCheckpointsEnd() async { await checkpoints.withLock { $0 }?.value }

    // MARK: Below

    /// The store below. Nothing but checkpoints writes to it; its `flush` makes durable what they wrote. It is another one after
    /// it had closed itself.
    public var below: any KeyValueStore { lower.withLock { $0.store } }

    private struct Lower {
        var store: any KeyValueStore
        /// When a reader first found it closed, in steady time.
        var closedSince: Timestamp?
    }

    func replaceBelow(by store: any KeyValueStore) { lower.withLock { $0 = Lower(store: store) } }

    /// Reads below, and once more if the store there had closed itself and is soon opened anew.
    private func reading<Value: Sendable>(
        _ read: (any KeyValueStore) async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let below = below
        do throws(StoreError) {
            return try await read(below)
        } catch {
            guard case .unavailable = error, !below.isOpen, await isReplaced(below) else { throw error }
        }
        return try await read(self.below)
    }

    /// Waits a while for a store below that has closed itself to be opened anew. All who read wait for it together: once that
    /// while is over nobody does.
    private func isReplaced(_ old: any KeyValueStore) async -> Bool {
        guard place.reopen != nil else { return false }
        bell.ringUrgently()
        let clock = place.environment.clock
        let now = clock.steady
        let since = lower.withLock { lower in
            let since = lower.closedSince ?? now
            if !lower.store.isOpen { lower.closedSince = since }
            return since
        }
        while !below.isOpen {
            guard state.withLock({ $0.refusal }) == nil, clock.steady - since < Self.reopeningMilliseconds,
                (try? await clock.sleep(milliseconds: Self.reopeningPause)) != nil
            else { return false }
        }
        return true
    }

    private static let reopeningMilliseconds: Int64 = 10_000
    private static let reopeningPause: Int64 = 100

    // MARK: Reading

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        guard key.first != LogPosition.family else { return nil }
        let now = now
        let (finding, refusal) = state.withLock { ($0.view.find(key, at: now), $0.refusal) }
        if let refusal { throw refusal }
        return switch finding {
        case .value(let value): value
        case .deleted: nil
        case .unknown: try await reading { store throws(StoreError) in try await store.get(key) }
        }
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await page(from: start, to: end, limit: limit, bytesMax: .max).rows
    }

    public func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        while true {
            let (view, freezes) = try look()
            let page = try await reading { store throws(StoreError) in
                try await LayeredScan(view, over: store, at: now).page(from: start, to: end, limit: limit, bytesMax: bytesMax)
            }
            if try isStill(freezes) { return page }
        }
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        while true {
            let (view, freezes) = try look()
            let below = try await reading { store throws(StoreError) in try await store.snapshot() }
            if try isStill(freezes) { return LoggedSnapshot(view: view, below: below, clock: place.environment.clock) }
        }
    }

    private func look() throws(StoreError) -> (view: LoggedRowsView, freezes: Int) {
        let (view, freezes, refusal) = state.withLock { ($0.view, $0.freezes, $0.refusal) }
        if let refusal { throw refusal }
        return (view, freezes)
    }

    /// Whether what was read below goes with the overlays that were looked at before. If not, it may be newer in part.
    private func isStill(_ freezes: Int) throws(StoreError) -> Bool { try look().freezes == freezes }

    private var now: Timestamp { place.environment.clock.now }

    // MARK: What others ask

    /// The clock of the machine matters to checkpoints only.
    public var clockLag: ClockLag? { nil }
    public var durability: Durability? { place.durability }
    /// Whatever the store below does, it is opened anew beneath the log.
    public var isOpen: Bool { state.withLock { $0.refusal == nil } }

    public var refusal: StoreError? {
        let (shortage, isRoomWanted) = state.withLock { ($0.shortage, $0.noRoom != nil) }
        guard isRoomWanted else { return shortage }
        guard budget.isFull else {
            noteRoom()
            return state.withLock { $0.shortage }
        }
        bell.ring()
        return shortage
    }
}
