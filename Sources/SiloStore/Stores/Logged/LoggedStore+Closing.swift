import SiloCore
import Synchronization

extension LoggedStore {
    /// Moves everything below, so that the data is whole without the log, and lets go of both. What cannot be moved, while the
    /// clock is behind or nothing below answers, stays in the log, and the next opening finds it there.
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
        let moved = Mutex(Result<Bool, StoreError>.success(false))
        // A step that stands still is left alone: what it comes to later changes nothing any more.
        var patient = place
        // What does not answer already is not waited for as long as what is slow.
        if state.withLock({ $0.obstacle != nil }) { patient.hasSpace = { false } }
        let hasEnded = await Patience(patient, ownSteps).lasts { [self] in
            await untilCheckpointsEnd()
            guard isSound, state.withLock({ $0.refusal }) == nil else { return }
            let result = await movedEverythingBelow()
            moved.withLock { $0 = result }
        }
        if !hasEnded { fail(.unavailable("the store was closed while its rows could not be moved to sorted files")) }
        var result = state.withLock { $0.refusal }
        var isWhole = false
        do throws(StoreError) { isWhole = try moved.withLock { $0 }.get() } catch { result = result ?? error }
        place.settings.comes(.closeBelow)
        let closed = await closedBelow()
        if case .failure(let error) = closed { result = result ?? error }
        // From here on nobody waits for the log's worker any more.
        let waiters = state.withLock { $0.close() }
        for waiter in waiters { waiter.resume(throwing: StoreError.unavailable("the store is closed")) }
        let released = await releasedLog(removing: isWhole && result == nil)
        if case .failure(let error) = released { result = result ?? error }
        budget.leave(account.member)
        return result
    }

    /// What others move is no sign that this store gets on.
    private var ownSteps: @Sendable () -> Int { { [account] in account.steps } }

    private func movedEverythingBelow() async -> Result<Bool, StoreError> {
        do throws(StoreError) { return .success(try await moveEverythingBelow()) } catch { return .failure(error) }
    }

    private func closedBelow() async -> Result<Void, StoreError> {
        let result = Mutex(Result<Void, StoreError>.failure(.unavailable("the data does not close")))
        _ = await Patience(place, ownSteps).lasts { [below] in
            do throws(StoreError) {
                try await below.close()
                result.withLock { $0 = .success(()) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
        }
        return result.withLock { $0 }
    }

    /// A disk that does not answer is not waited for; its lock goes with the worker's last call, or with the process.
    private func releasedLog(removing: Bool) async -> Result<Void, StoreError> {
        defer { place.worker.end() }
        let result = Mutex(Result<Void, StoreError>.failure(.unavailable("the log does not close")))
        _ = await Patience(place, ownSteps).lasts { [place, writer] in
            do throws(LogDiskError) {
                try await place.worker.perform { () throws(LogDiskError) in
                    defer { place.disk.close() }
                    if removing { try writer.removeAll() } else { writer.close() }
                }
                result.withLock { $0 = .success(()) }
            } catch {
                result.withLock { $0 = .failure(StoreError(error)) }
            }
        }
        return result.withLock { $0 }
    }

    /// Looks whether the store below still is this store's own: between checkpoints nothing else would tell.
    package func watchBelow() async {
        while (try? await place.environment.clock.sleep(milliseconds: Self.watchMilliseconds)) != nil {
            // Its next call says why.
            if !below.isOpen { bell.ring() }
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
}
