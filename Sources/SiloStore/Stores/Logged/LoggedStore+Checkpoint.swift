import SiloCore
import SlateDB
import Synchronization

extension LoggedStore {
    /// Moves below what has come together, whenever the bell rings, until the store is closed or has failed. What may pass is
    /// waited for: a clock that is behind, a store below that does not answer, a disk that is full.
    func runCheckpoints() async {
        var pause = Self.pauseMin
        while await bell.wait() {
            do throws(StoreError) {
                let isBelow = try await moveAll()
                bell.answer(isBelow ? .success(()) : .failure(.unavailable("the store is being closed")))
                if isBelow, state.withLock({ $0.obstacle != nil }) {
                    clear()
                    place.onEvent(.belowAnswers)
                }
                pause = Self.pauseMin
            } catch {
                bell.answer(.failure(error))
                guard mayPass(error) else {
                    fail(error)
                    continue
                }
                obstruct(error)
                // A reader may be waiting for what is below to be opened anew.
                await bell.pause(milliseconds: Self.pauseMin, in: place.environment)
                await bell.pause(milliseconds: pause - Self.pauseMin, inAnyCase: false, in: place.environment)
                pause = min(2 * pause, Self.pauseMax)
                bell.ring()
            }
        }
    }

    private static let pauseMin: Int64 = 500
    private static let pauseMax: Int64 = 10_000

    /// Damage stays, and so does another owner.
    private func mayPass(_ error: StoreError) -> Bool {
        guard state.withLock({ $0.refusal == nil }) else { return false }
        return switch error {
        case .unavailable, .full, .behind: true
        case .fenced, .corrupt: false
        }
    }

    /// Nothing goes below for now. Those that wait for room are told why there is none.
    private func obstruct(_ error: StoreError) {
        // What the log lacks space for is told where that is found.
        if case .full = error { return budget.wake() }
        let isNews = state.withLock { state in
            defer { state.obstacle = error }
            return state.obstacle == nil
        }
        budget.wake()
        if isNews { place.onEvent(.belowFails(error)) }
    }

    private func clear() { state.withLock { $0.obstacle = nil } }

    /// On return everything written before the call is below, and the log that held it is free.
    /// - Throws: `.behind` while the clock is, `.unavailable` while the store below does not answer; later it is done all the
    ///   same.
    public func checkpoint() async throws(StoreError) {
        if let lag = below.clockLag {
            bell.ring()
            throw .behind(lag)
        }
        guard below.isOpen || place.reopen == nil else {
            bell.ring()
            throw Self.isReopened
        }
        do { try await bell.request() } catch let error as StoreError { throw error } catch { throw .unavailable("\(error)") }
    }

    private static let isReopened = StoreError.unavailable("the sorted files are opened anew, when they answer")

    /// The last checkpoint of a store that nobody writes to any more.
    /// - Returns: whether the data is whole without the log; not so when the clock is behind.
    func moveEverythingBelow() async throws(StoreError) -> Bool {
        try await flush()
        // One that did not get to its end comes first.
        if state.withLock({ $0.isFrozen }), try await !move(isLast: false) { return false }
        return try await move(isLast: true)
    }

    /// What was frozen before and did not get below goes there first: whoever asks means what was written since, too.
    private func moveAll() async throws(StoreError) -> Bool {
        if state.withLock(\.isFrozen), try await !move(isLast: false) { return false }
        return try await move(isLast: false)
    }

    private func move(isLast: Bool) async throws(StoreError) -> Bool {
        try await reopenBelow()
        guard try await waitForClock(isLast) else { return false }
        // What was waited for may have been that somebody sets the clock.
        try await reopenBelow()
        let begun = place.environment.clock.steady
        // Below never has what the log might lose: a batch could be there in part.
        let frozen = state.withLock { $0.freeze() }
        budget.beginLeaving(account.member)
        defer { budget.endLeaving(account.member) }
        let isDurable = state.withLock { $0.durableSequence >= frozen.sequence }
        // When they are, a log without space is no reason to wait: what is freed gives it some.
        if !isDurable, !place.settings.plants(.checkpointsUnsyncedRows) { try await flush() }
        let before = state.withLock { $0.position }
        let position = LogPosition(
            logID: log.id, sequence: frozen.sequence, isWhole: isLast || place.settings.plants(.wholeTooEarly),
            after: before.previousID)
        guard try await begin(from: before, through: frozen.sequence, isLast) else { return false }
        guard try await write(frozen.overlay, position, isLast) else { return false }
        if place.settings.plants(.freesBeforeFlush) { try await free(through: frozen.sequence) }
        guard try await flushBelow(isLast) else { return false }
        state.withLock { $0.thaw(position) }
        account.change(overlayBytes: -frozen.overlay.bytes)
        try await free(through: frozen.sequence)
        let milliseconds = place.environment.clock.steady - begun
        noteCheckpoint(rows: frozen.overlay.changes.count, milliseconds: milliseconds)
        return true
    }

    /// Notes below which batches may be there in part from now on, and the first time also that the data is not whole without
    /// this log, before any row of it is there.
    private func begin(
        from before: LogPosition, through sequence: UInt64, _ isLast: Bool
    ) async throws(StoreError) -> Bool {
        let begun = place.settings.plants(.forgetsWhatBegan) ? 0 : sequence
        let position = LogPosition(
            logID: log.id, sequence: before.sequence, begun: begun, isWhole: false, after: before.previousID)
        place.settings.comes(.begin)
        guard try await writeBelow([position.write], isLast) else { return false }
        guard state.withLock({ !$0.isMarked }) else { return true }
        return try await flushBelow(isLast)
    }

    /// Writes an overlay's net rows below, a few at a time, and last of all that they are there.
    /// - Returns: false when the clock is behind and nobody waits for it.
    private func write(_ overlay: LoggedRows, _ position: LogPosition, _ isLast: Bool) async throws(StoreError) -> Bool {
        if place.settings.plants(.positionFirst) { try await below.write([position.write]) }
        var isFirst = true
        for batch in NetRows(of: overlay, at: place.environment.clock.now, place.settings) {
            if !isFirst, !isLast { await rest() }
            isFirst = false
            place.settings.comes(.moveRows)
            guard try await writeBelow(batch, isLast) else { return false }
        }
        place.settings.comes(.notePosition)
        return try await writeBelow([position.write], isLast)
    }

    private func writeBelow(_ batch: [Write], _ isLast: Bool) async throws(StoreError) -> Bool {
        try await patiently(isLast) { store throws(StoreError) in try await store.write(batch) }
    }

    private func flushBelow(_ isLast: Bool) async throws(StoreError) -> Bool {
        place.settings.comes(.flushBelow)
        return try await patiently(isLast) { store throws(StoreError) in try await store.flush() }
    }

    /// Makes a call of the store below, and again as often as the clock is behind.
    private func patiently(
        _ isLast: Bool, _ call: (any KeyValueStore) async throws(StoreError) -> Void
    ) async throws(StoreError) -> Bool {
        while try await waitForClock(isLast) {
            do throws(StoreError) {
                try await call(below)
                // It may have been given up meanwhile.
                if let refusal = state.withLock({ $0.refusal }) { throw refusal }
                account.step()
                return true
            } catch {
                guard case .behind = error else { throw error }
            }
        }
        return false
    }

    /// Lets the shard's loop have the processor.
    private func rest() async {
        guard place.settings.checkpointRestMilliseconds > 0, !budget.isShort else { return await Task.yield() }
        try? await place.environment.clock.sleep(milliseconds: place.settings.checkpointRestMilliseconds)
    }

    /// Waits until the store below takes writes. Whoever asked for the checkpoint is not kept waiting for long.
    /// - Parameter isLast: does not wait.
    /// - Returns: whether it takes them.
    private func waitForClock(_ isLast: Bool) async throws(StoreError) -> Bool {
        guard var lag = below.clockLag else { return true }
        guard !isLast else { return false }
        place.onEvent(.clockBehind(lag))
        let begun = place.environment.clock.steady
        let other = state.withLock { $0.obstacle }
        defer { state.withLock { $0.obstacle = other } }
        while true {
            state.withLock { $0.obstacle = .behind(lag) }
            budget.wake()
            guard !bell.isStopped else { return false }
            let patience = place.settings.clockPatienceMilliseconds
            if max(lag.milliseconds, place.environment.clock.steady - begun) > patience { bell.refuse(.behind(lag)) }
            await bell.pause(milliseconds: min(1000, max(1, lag.milliseconds)), in: place.environment)
            guard let still = below.clockLag else { break }
            lag = still
        }
        place.onEvent(.clockPassed)
        return true
    }

    /// A store below that has closed itself, as SlateDB does when what it stores to was away, is opened anew, and so is one that
    /// does not see that the clock was set. What was on its way there is moved once more.
    private func reopenBelow() async throws(StoreError) {
        let old = below
        guard !old.isOpen || old.isOutdated, let reopen = place.reopen else { return }
        // Only itself can say whether it was taken over. Another owner must not be put out.
        do throws(StoreError) { _ = try await old.get(LogPosition.key) } catch {
            switch error {
            case .fenced, .corrupt: throw error
            case .unavailable, .full, .behind: break
            }
        }
        try? await old.close()
        // That may take as long as what it stores to is away: nobody waits for it.
        bell.refuse(Self.isReopened)
        obstruct(Self.isReopened)
        place.settings.comes(.lookBelow)
        if let look = place.look { try requireOwn(try await look()) }
        place.settings.comes(.reopenBelow)
        let new = try await reopen()
        do throws(StoreError) {
            // Somebody may have come in between.
            try requireOwn(try LogPosition.read(try await new.get(LogPosition.key), of: place.name))
        } catch {
            try? await new.close()
            throw error
        }
        replaceBelow(by: new)
    }

    /// Makes sure that the store below says what this log left it with, or found it with.
    private func requireOwn(_ found: LogPosition?) throws(StoreError) {
        let (known, refusal) = state.withLock { ($0.position, $0.refusal) }
        if let refusal { throw refusal }
        let isOwn = if let found {
            found.logID == log.id || known.isWhole && found.logID == known.previousID && found.sequence == known.sequence
        } else {
            known.sequence == 0
        }
        guard isOwn else { throw .fenced("the data below its log was written by another") }
    }

    private func free(through sequence: UInt64) async throws(StoreError) {
        do throws(LogDiskError) {
            try await place.worker.perform { [self] () throws(LogDiskError) in
                try writer.free(through: sequence)
                noteSpace()
            }
        } catch {
            throw StoreError(error)
        }
    }
}
