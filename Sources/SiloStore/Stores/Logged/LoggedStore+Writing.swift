import SiloCore
import Synchronization

extension LoggedStore {
    public func write(_ batch: [Write]) async throws(StoreError) {
        for write in batch where write.key.first == LogPosition.family || write.key.isEmpty {
            throw .unavailable("keys that are empty or begin with \(LogPosition.family) are not for rows")
        }
        guard !batch.isEmpty else { return }
        let encoded = BatchCoding.encode(batch)
        guard encoded.count <= Self.batchBytesMax else { throw .unavailable("a batch of \(encoded.count) bytes is too large") }
        await waitForRoom()
        let result: Result<(change: Int, wakes: Bool), StoreError> = state.withLock { state in
            let before = state.overlayBytes
            do throws(StoreError) {
                try state.apply(batch, encoded, overdraftMax: place.settings.overdraftBytesMax)
            } catch {
                return .failure(error)
            }
            return .success((state.overlayBytes - before, state.startsWriting(atLeast: place.settings.bufferBytesMax)))
        }
        let (change, wakes) = try result.get()
        account.change(overlayBytes: change)
        if wakes { wakeWriter() }
    }

    /// Of one batch, encoded.
    private static let batchBytesMax = 1 << 30

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

    // MARK: Room, of memory and log

    /// Waits while everything that all logs may take up is taken, as long as some of it goes below. Then what is under way is
    /// still written, and nothing new should begin.
    private func waitForRoom() async {
        while budget.isFull {
            let (isWanted, obstacle) = state.withLock { ($0.writeRefusal == nil && $0.shortage == nil, $0.obstacle) }
            guard isWanted else { return }
            if let obstacle { return noteRoom(lacking: Self.cannotMove + ": \(obstacle.message)") }
            let isGivenUp = Atomic(false)
            // Anybody's rows on their way below make room.
            let patience = Patience(place) { [budget] in budget.steps }
            guard await patience.lasts({ await self.untilThereIsRoom { isGivenUp.load(ordering: .relaxed) } }) else {
                isGivenUp.store(true, ordering: .relaxed)
                budget.wake()
                return noteRoom(lacking: Self.cannotMove + ": is the disk full?")
            }
        }
        if state.withLock({ $0.noRoom != nil }) { noteRoom() }
    }

    private static let cannotMove = "there is no room in the log, whose rows cannot be moved to sorted files"

    /// - Parameter lacking: why there is none; nil: there is.
    func noteRoom(lacking text: String? = nil) {
        let error = text.map { StoreError.full($0) }
        guard state.withLock({ $0.setNoRoom(error) }) else { return }
        place.onEvent(error.map { .noRoom($0) } ?? .roomAgain)
    }

    /// Returns also when there is something else to be said to who waits.
    private func untilThereIsRoom(orElse isGivenUp: () -> Bool) async {
        while true {
            let wakes = budget.wakes
            let isWanted = state.withLock { $0.writeRefusal == nil && $0.obstacle == nil && $0.shortage == nil }
            guard isWanted, budget.isFull, !isGivenUp() else { return }
            bell.ring()
            await budget.wait(since: wakes)
        }
    }

    // MARK: On the log's worker

    private func wakeWriter() { place.worker.run { self.writeLog() } }

    /// Writes what is buffered, and answers. What came meanwhile waits behind what others gave the worker: it is shared with
    /// checkpoints, which must get on while load lasts.
    private func writeLog() {
        guard var pending = state.withLock({ $0.takePending() }) else { return }
        do throws(LogDiskError) {
            try writer.append(&pending)
            let answered = state.withLock { $0.written(pending) }
            for waiter in answered { waiter.resume() }
            if writer.wantsPreparing {
                // Who was answered does not wait for a new file.
                LentThread.hurry()
                try prepare()
            }
            noteSpace()
        } catch .noSpace(let text) {
            let (answered, failed) = state.withLock { ($0.written(pending), $0.stall(pending)) }
            for waiter in answered { waiter.resume() }
            noteSpace(lacking: text)
            for waiter in failed { waiter.resume(throwing: StoreError(LogDiskError.noSpace(text))) }
            return
        } catch {
            return fail(StoreError(error))
        }
        if state.withLock({ $0.goesOnWriting() }) { wakeWriter() }
    }

    /// Has the next segment's file filled while the log goes on in this one.
    private func prepare() throws(LogDiskError) {
        let slot: LogSlot?
        do throws(LogDiskError) { slot = try writer.beginPreparing() } catch .noSpace(let text) {
            return noteSpace(lacking: text)
        }
        guard let slot else { return noteSpace() }
        place.settings.comes(.fillFile)
        (place.helper ?? place.worker).run { [self] in
            var failure: LogDiskError?
            do throws(LogDiskError) { try slot.fill() } catch { failure = error }
            place.worker.run { [self, failure] in
                do throws(LogDiskError) {
                    try writer.endPreparing(failure)
                    noteSpace()
                } catch .noSpace(let text) {
                    noteSpace(lacking: text)
                } catch {
                    fail(StoreError(error))
                }
            }
        }
    }

    /// Notes that there is no space for the next segment, or that there may be: then it looks.
    func noteSpace(lacking text: String? = nil) {
        let isShort = writer.isShort
        let isNews = state.withLock { state in
            guard text != nil || isShort || state.isStalled else { return state.setNoSpace(nil) }
            let error = StoreError(LogDiskError.noSpace(text ?? "the next file cannot be made"))
            return state.refusal == nil && state.setNoSpace(error)
        }
        guard isNews else { return }
        guard let error = state.withLock({ $0.noSpace }) else { return place.onEvent(.spaceAgain) }
        place.onEvent(.noSpace(error.message))
        // Those segments before this one may go while this one still has room.
        bell.ring()
        guard state.withLock({ $0.beginsWatchingSpace() }) else { return }
        // Ends with the shortage, or with the store.
        place.environment.start { [self] in
            repeat {
                place.worker.run { self.lookForSpace() }
                try? await place.environment.clock.sleep(milliseconds: Self.spaceMilliseconds)
            } while state.withLock { $0.goesOnWatchingSpace() }
        }
    }

    private static let spaceMilliseconds: Int64 = 500

    private func lookForSpace() {
        guard state.withLock({ $0.noSpace != nil && $0.refusal == nil }) else { return }
        if state.withLock({ $0.startsWriting() }) { return writeLog() }
        do throws(LogDiskError) {
            try writer.begin()
            if writer.mayPrepare { try prepare() }
            noteSpace()
        } catch .noSpace(let text) {
            noteSpace(lacking: text)
        } catch {
            fail(StoreError(error))
        }
    }

    // MARK: The end of it

    /// Nothing more becomes durable: everybody who waits, and all who come, are told why.
    func fail(_ error: StoreError) {
        let waiters = state.withLock { $0.fail(error) }
        for waiter in waiters { waiter.resume(throwing: error) }
        budget.wake()
        bell.stop()
        // A checkpoint may stand still for ever in a call of the store below.
        bell.refuse(error)
    }
}
