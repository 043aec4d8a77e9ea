import SiloCore
import Synchronization

extension LoggedStore {
    /// Opens the log at `place` over `below`, which is closed when it throws. What the log holds that is not below is in memory
    /// then.
    /// - Throws: `.corrupt` when the log is damaged, is missing, or is another store's: nothing was changed then. `.fenced` when
    ///   somebody has it.
    package static func open(
        _ below: any KeyValueStore, _ place: LogPlace, _ budget: LogBudget
    ) async throws(StoreError) -> LoggedStore {
        do throws(StoreError) {
            let store = try await LogOpening(below: below, place: place, budget: budget).open()
            store.start()
            return store
        } catch {
            await place.release()
            try? await below.close()
            throw error
        }
    }
}

extension LogPlace {
    /// Lets go of the folder, where no store was opened. On return it is free: whoever tries again finds no lock of its own.
    package func release() async {
        await worker.perform { disk.close() }
        worker.end()
    }

    /// Makes sure that the log belongs to data which says `position` of it, as far as headers show. For whoever has not opened
    /// that yet: opening it puts another server out.
    package func check(_ position: LogPosition?) async throws(StoreError) {
        try await worker.perform { () throws(StoreError) in try LogFiles.check(in: self, position) }
    }
}

/// The steps from a log's folder to a store.
private struct LogOpening {
    let below: any KeyValueStore
    let place: LogPlace
    let budget: LogBudget

    func open() async throws(StoreError) -> LoggedStore {
        let position = try LogPosition.read(try await below.get(LogPosition.key), of: place.name)
        let bell = CheckpointBell()
        let account = LogAccount(budget: budget, member: budget.join { bell.ring() })
        do throws(StoreError) {
            let found = try await onWorker { () throws(StoreError) in
                try LogFiles(in: place, position)
            }
            let replay = try await LogReplay(found, over: below, place, account, position).run()
            let (writer, log) = try await onWorker { () throws(StoreError) in
                try found.writer(account, isEmpty: replay.isEmpty)
            }
            let known = try await mark(log, replay.position)
            let state = LoggedState(overlay: replay.overlay, lastSequence: found.last, position: known)
            // Openings that follow each other without a checkpoint must not fill the disk; and what is not marked is soon.
            if writer.liveCount > Self.liveMax || known.isWhole { bell.ring() }
            return LoggedStore(state, over: below, place, writer, log, account, bell: bell)
        } catch {
            budget.leave(account.member)
            throw error
        }
    }

    private static let liveMax = 3

    private func onWorker<Value: Sendable>(
        _ body: @escaping @Sendable () throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        guard let value = try await place.worker.perform(body) else { throw .unavailable("the log's worker has ended") }
        return value
    }

    /// Notes below that the data is not whole without this log from now on. It is there already, with nothing in it. While the
    /// clock is behind it waits, and the first checkpoint does it.
    /// - Returns: what the store below says, or would.
    private func mark(_ log: LogIdentity, _ position: LogPosition?) async throws(StoreError) -> LogPosition {
        if let position, !position.isWhole { return position }
        let previous = position.flatMap { $0.logID == log.id ? $0.previousID : $0.logID }
        let sequence = position?.sequence ?? 0
        if below.clockLag == nil {
            place.settings.comes(.mark)
            let marked = LogPosition(logID: log.id, sequence: sequence, isWhole: false, after: previous)
            do throws(StoreError) {
                try await below.write([marked.write])
                try await below.flush()
                return marked
            } catch {
                guard case .behind = error else { throw error }
            }
        }
        return LogPosition(logID: log.id, sequence: sequence, isWhole: true, after: previous)
    }
}
