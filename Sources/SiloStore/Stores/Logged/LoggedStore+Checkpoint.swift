import SiloCore
import SlateDB
import Synchronization

extension LoggedStore {
    /// Moves below what has come together, whenever the bell rings, until the store is closed or has failed.
    func runCheckpoints() async {
        while let requests = await bell.wait() {
            do throws(StoreError) {
                let isBelow = try await moveAll()
                let answer = isBelow ? Result.success(()) : .failure(StoreError.unavailable("the store is being closed"))
                for request in requests { request.resume(with: answer) }
            } catch {
                for request in requests { request.resume(throwing: error) }
                guard state.withLock({ $0.stalled != nil && $0.refusal == nil }) else {
                    fail(error)
                    continue
                }
                // It needs the log's space first. Those that wait for room are told so.
                budget.wake()
                await bell.pause(milliseconds: 1000, in: place.environment)
                bell.ring()
            }
        }
    }

    /// On return everything written before the call is below, and the log that held it is free.
    /// - Throws: `.behind` while the clock is; later it is done all the same.
    public func checkpoint() async throws(StoreError) {
        if let lag = below.clockLag {
            bell.ring()
            throw .behind(lag)
        }
        do { try await bell.request() } catch let error as StoreError { throw error } catch { throw .unavailable("\(error)") }
    }

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
        guard try await waitForClock(isLast) else { return false }
        let begun = place.environment.clock.steady
        // Below never has what the log might lose: a batch could be there in part.
        let frozen = state.withLock { $0.freeze() }
        budget.beginLeaving(member)
        defer { budget.endLeaving(member) }
        if !place.settings.plants(.checkpointsUnsyncedRows) { try await flush() }
        let position = LogPosition(
            logID: log.id, sequence: frozen.sequence, isWhole: isLast || place.settings.plants(.wholeTooEarly))
        guard try await write(frozen.overlay, position, isLast) else { return false }
        if place.settings.plants(.freesBeforeFlush) { try await free(through: frozen.sequence) }
        guard try await patiently(isLast, { () throws(StoreError) in try await self.below.flush() }) else { return false }
        state.withLock { $0.thaw() }
        budget.change(member, overlayBytes: -frozen.overlay.bytes)
        try await free(through: frozen.sequence)
        let milliseconds = place.environment.clock.steady - begun
        noteCheckpoint(rows: frozen.overlay.changes.count, milliseconds: milliseconds)
        return true
    }

    /// Writes an overlay's net rows below, a few at a time, and last of all that they are there.
    /// - Returns: false when the clock is behind and nobody waits for it.
    private func write(_ overlay: LoggedRows, _ position: LogPosition, _ isLast: Bool) async throws(StoreError) -> Bool {
        let positionWrite = Write(key: LogPosition.key, value: position.bytes)
        if place.settings.plants(.positionFirst) { try await below.write([positionWrite]) }
        var batch: [Write] = []
        var bytes = 0
        for entry in overlay.changes {
            if entry.value.value == nil, place.settings.plants(.dropsTombstones) { continue }
            guard let write = netWrite(entry) else { continue }
            batch.append(write)
            bytes += entry.key.count + (entry.value.value?.count ?? 0)
            guard batch.count >= place.settings.checkpointRowsMax || bytes >= place.settings.checkpointBytesMax else { continue }
            guard try await writeBelow(batch, isLast) else { return false }
            (batch, bytes) = ([], 0)
            if !isLast { await rest() }
        }
        return try await writeBelow(batch + [positionWrite], isLast)
    }

    /// Nil: nothing of the row need be below.
    private func netWrite(_ entry: SortedEntries<LoggedRows.Change>.Entry) -> Write? {
        let change = entry.value
        guard let value = change.value, change.expiresAt > place.environment.clock.now else {
            // One that has expired hides what it replaced.
            return change.isNew ? nil : Write(key: entry.key, value: nil)
        }
        return Write(key: entry.key, value: value, expiresAt: change.expiresAt == .distantFuture ? nil : change.expiresAt)
    }

    private func writeBelow(_ batch: [Write], _ isLast: Bool) async throws(StoreError) -> Bool {
        try await patiently(isLast) { () throws(StoreError) in try await self.below.write(batch) }
    }

    /// Makes a call of the store below, and again as often as the clock is behind.
    private func patiently(_ isLast: Bool, _ call: () async throws(StoreError) -> Void) async throws(StoreError) -> Bool {
        while try await waitForClock(isLast) {
            do throws(StoreError) {
                try await call()
                budget.step()
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

    /// Waits until the store below takes writes.
    /// - Parameter isLast: does not wait.
    /// - Returns: whether it takes them.
    private func waitForClock(_ isLast: Bool) async throws(StoreError) -> Bool {
        guard var lag = below.clockLag else { return true }
        guard !isLast else { return false }
        place.onEvent(.clockBehind(lag))
        defer { state.withLock { $0.clockLag = nil } }
        while true {
            state.withLock { $0.clockLag = lag }
            // Those that wait for room are told why there is none.
            budget.wake()
            guard !bell.isStopped else { return false }
            await bell.pause(milliseconds: min(1000, max(1, lag.milliseconds)), in: place.environment)
            guard let still = below.clockLag else { break }
            lag = still
        }
        place.onEvent(.clockPassed)
        return true
    }

    private func free(through sequence: UInt64) async throws(StoreError) {
        do {
            try await place.worker.perform { [writer] () throws(LogDiskError) in try writer.free(through: sequence) }
        } catch {
            throw StoreError(error)
        }
    }
}
