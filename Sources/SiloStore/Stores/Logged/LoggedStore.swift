public import SiloCore
public import SlateDB
import Synchronization

/// A store whose log is on a local disk: what is written lies in memory, above a sorted store, and in the log; now and then all
/// of it is moved below in bulk, and the log is free again. What the store below has not made durable by itself may be lost
/// there: the log has it.
public final class LoggedStore: KeyValueStore {
    let state: Mutex<LoggedState>
    /// The store below. Nothing but checkpoints writes to it; its `flush` makes durable what they wrote.
    public let below: any KeyValueStore
    let place: LogPlace
    let writer: LogWriter
    let log: LogIdentity
    let budget: LogBudget
    let member: Int
    let bell: CheckpointBell
    /// Of `LogLoad`, what is counted.
    let moves = Mutex(LogLoad())
    private let checkpoints = Mutex<Task<Void, Never>?>(nil)
    private let closing = Mutex<Task<StoreError?, Never>?>(nil)

    init(
        _ state: LoggedState, over below: any KeyValueStore, _ place: LogPlace, _ writer: LogWriter, _ log: LogIdentity,
        _ budget: LogBudget,
        member: Int, bell: CheckpointBell
    ) {
        self.state = Mutex(state)
        self.below = below
        self.place = place
        self.writer = writer
        self.log = log
        self.budget = budget
        self.member = member
        self.bell = bell
    }

    /// Begins to move rows below when it is asked to.
    func start() {
        let task = place.environment.start { await self.runCheckpoints() }
        checkpoints.withLock { $0 = task }
    }

    // MARK: Reading

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        guard key.first != LogPosition.family else { return nil }
        let now = now
        let (finding, refusal) = state.withLock { ($0.view.find(key, at: now), $0.refusal) }
        if let refusal { throw refusal }
        return switch finding {
        case .value(let value): value
        case .deleted: nil
        case .unknown: try await below.get(key)
        }
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        while true {
            let (view, freezes) = try look()
            let rows = try await LayeredScan(view, over: below, at: now).rows(from: start, to: end, limit: limit)
            if try isStill(freezes) { return rows }
        }
    }

    public func snapshot() async throws(StoreError) -> any StoreReader {
        while true {
            let (view, freezes) = try look()
            let snapshot = LoggedSnapshot(view: view, below: try await below.snapshot(), clock: place.environment.clock)
            if try isStill(freezes) { return snapshot }
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

    // MARK: Writing

    public func write(_ batch: [Write]) async throws(StoreError) {
        for write in batch where write.key.first == LogPosition.family || write.key.isEmpty {
            throw .unavailable("keys that are empty or begin with \(LogPosition.family) are not for rows")
        }
        guard !batch.isEmpty else { return }
        let encoded = BatchCoding.encode(batch)
        guard encoded.count <= Self.batchBytesMax else { throw .unavailable("a batch of \(encoded.count) bytes is too large") }
        try await waitForRoom()
        let result: Result<(change: Int, wakes: Bool), StoreError> = state.withLock { state in
            if let refusal = state.writeRefusal { return .failure(refusal) }
            let before = state.overlayBytes
            state.apply(batch, encoded)
            return .success((state.overlayBytes - before, state.startsWriting(atLeast: place.settings.bufferBytesMax)))
        }
        let (change, wakes) = try result.get()
        budget.change(member, overlayBytes: change)
        if wakes { wakeWriter() }
    }

    /// Of one batch, encoded.
    private static let batchBytesMax = 1 << 30

    /// Waits while everything that all logs may take up is taken.
    private func waitForRoom() async throws(StoreError) {
        while true {
            let (refusal, lag, isStalled) = state.withLock { ($0.writeRefusal, $0.clockLag, $0.stalled != nil) }
            if let refusal { throw refusal }
            if isStalled { try await flush() }
            guard budget.isFull else { return }
            if let lag { throw .behind(lag) }
            let isGivenUp = Atomic(false)
            let patience = Patience(place, budget)
            guard await patience.lasts({ await self.untilThereIsRoom { isGivenUp.load(ordering: .relaxed) } }) else {
                isGivenUp.store(true, ordering: .relaxed)
                budget.wake()
                throw .unavailable("there is no room in the log, whose rows cannot be moved to sorted files: is the disk full?")
            }
        }
    }

    /// Returns also when there is something else to be said to who waits.
    private func untilThereIsRoom(orElse isGivenUp: () -> Bool) async {
        while true {
            let wakes = budget.wakes
            let isWanted = state.withLock { $0.writeRefusal == nil && $0.clockLag == nil && $0.stalled == nil }
            guard isWanted, budget.isFull, !isGivenUp() else { return }
            bell.ring()
            await budget.wait(since: wakes)
        }
    }

    public func flush() async throws(StoreError) {
        do {
            try await withCheckedThrowingContinuation { continuation in
                let (waits, wakes, refusal) = state.withLock { state in
                    let waits = state.wait(continuation)
                    return (waits, waits && state.startsWriting(), state.refusal)
                }
                if wakes { wakeWriter() }
                guard !waits else { return }
                if let refusal { continuation.resume(throwing: refusal) } else { continuation.resume() }
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unavailable("\(error)")
        }
    }

    private func wakeWriter() { place.worker.run { self.writeLog() } }

    /// On the log's worker: writes what is buffered, and answers, until there is nothing more.
    private func writeLog() {
        while var pending = state.withLock({ $0.takePending() }) {
            do throws(LogDiskError) {
                try writer.append(&pending)
                let answered = state.withLock { $0.written(pending) }
                for waiter in answered { waiter.resume() }
                if writer.wantsPreparing { try prepare() }
            } catch .noSpace(let text) {
                let error = StoreError(LogDiskError.noSpace(text))
                let (answered, failed) = state.withLock { ($0.written(pending), $0.stall(pending, error)) }
                for waiter in answered { waiter.resume() }
                place.onEvent(.noSpace(text))
                for waiter in failed { waiter.resume(throwing: error) }
                return
            } catch {
                return fail(StoreError(error))
            }
        }
    }

    /// Has the next segment's file filled while the log goes on in this one.
    private func prepare() throws(LogDiskError) {
        let slot: LogWriter.Slot
        do throws(LogDiskError) { slot = try writer.beginPreparing() } catch .noSpace { return }
        (place.helper ?? place.worker).run { [self] in
            var failure: LogDiskError?
            do throws(LogDiskError) { try slot.fill() } catch { failure = error }
            place.worker.run { [self, failure] in
                do throws(LogDiskError) {
                    // Those before this one may go while this one still has room.
                    if try writer.endPreparing(failure) { bell.ring() }
                } catch {
                    fail(StoreError(error))
                }
            }
        }
    }

    /// Looks whether the store below still is this store's own: between checkpoints nothing else would tell.
    package func watchBelow(_ isOpen: @Sendable () -> Bool) async {
        while (try? await place.environment.clock.sleep(milliseconds: Self.watchMilliseconds)) != nil {
            // Its next call says why.
            if !isOpen() { try? await checkpoint() }
        }
    }

    private static let watchMilliseconds: Int64 = 2000

    /// Moves what is in the log below now and then, until the task is cancelled: a shard with little to do gives memory and log
    /// back too, and what was deleted reaches the files that hold it.
    package func moveRegularly() async {
        while (try? await place.environment.clock.sleep(milliseconds: Self.moveMilliseconds)) != nil {
            if state.withLock({ $0.overlayBytes > 0 }) { bell.ring() }
            place.worker.run { self.trim() }
        }
    }

    private func trim() {
        guard state.withLock({ $0.refusal == nil }) else { return }
        do throws(LogDiskError) { try writer.trim() } catch { fail(StoreError(error)) }
    }

    private static let moveMilliseconds: Int64 = 60_000

    // MARK: The end

    /// Nothing more becomes durable: everybody who waits, and all who come, are told why.
    func fail(_ error: StoreError) {
        let waiters = state.withLock { $0.fail(error) }
        for waiter in waiters { waiter.resume(throwing: error) }
        budget.wake()
        bell.stop()
    }

    /// Moves everything below, so that the data is whole without the log, and lets go of both. While the clock is behind it stays
    /// in the log, and the next opening finds it there.
    public func close() async throws(StoreError) {
        let task = closing.withLock { closing in
            let task = closing ?? place.environment.start { await self.closeOnce() }
            closing = task
            return task
        }
        if let error = await task.value { throw error }
    }

    private func closeOnce() async -> StoreError? {
        let isSound = state.withLock { $0.beginClosing() }
        budget.wake()
        bell.stop()
        await checkpoints.withLock { $0 }?.value
        var result = state.withLock { $0.refusal }
        var isWhole = false
        if isSound, result == nil {
            do throws(StoreError) { isWhole = try await moveEverythingBelow() } catch { result = error }
        }
        do throws(StoreError) { try await below.close() } catch { result = result ?? error }
        let letsGo = isWhole && result == nil
        do throws(StoreError) { try await releaseLog(removing: letsGo) } catch { result = result ?? error }
        state.withLock { $0.close() }
        budget.leave(member)
        return result
    }

    private func releaseLog(removing: Bool) async throws(StoreError) {
        do {
            try await place.worker.perform { [place, writer] () throws(LogDiskError) in
                defer { place.disk.close() }
                if removing { try writer.removeAll() } else { writer.close() }
            }
        } catch {
            place.worker.end()
            throw StoreError(error)
        }
        place.worker.end()
    }

    // MARK: What others ask

    /// Writes are taken whatever the clock says, until there is no room for more.
    public var clockLag: ClockLag? {
        guard let lag = state.withLock({ $0.clockLag }), budget.isFull else { return nil }
        return lag
    }

    public var durability: Durability? { place.durability }
}

private struct LoggedSnapshot: StoreReader {
    let view: LoggedRowsView
    let below: any StoreReader
    let clock: any Clock

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        guard key.first != LogPosition.family else { return nil }
        switch view.find(key, at: clock.now) {
        case .value(let value): return value
        case .deleted: return nil
        case .unknown: return try await below.get(key)
        }
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await LayeredScan(view, over: below, at: clock.now).rows(from: start, to: end, limit: limit)
    }

    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        try await LayeredScan(view, over: below, at: clock.now).page(from: start, to: end, limit: limit, bytesMax: bytesMax)
    }
}
