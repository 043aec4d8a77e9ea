import Synchronization

/// Estimates what deleted rows still take up in a store's files: each as much as rows had on average when they were written. Only
/// what happened since the store was opened counts.
public final class DeletedBytes: Sendable {
    private struct State {
        var writtenRows = 0
        var writtenBytes = 0
        var deletedRows = 0
    }
    private let state = Mutex(State())

    func count(_ batch: [Write]) {
        var rows = 0
        var bytes = 0
        for write in batch {
            guard let value = write.value else { continue }
            rows += 1
            bytes += write.key.count + value.count
        }
        state.withLock { state in
            state.writtenRows += rows
            state.writtenBytes += bytes
            state.deletedRows += batch.count - rows
        }
    }

    public var estimate: Int { state.withLock { Self.estimate($0) } }

    /// So much has been freed.
    public func freed(_ bytes: Int) {
        state.withLock { state in
            let left = max(0, Self.estimate(state) - bytes)
            state.deletedRows = state.writtenBytes == 0 ? 0 : left * state.writtenRows / state.writtenBytes
        }
    }

    private static func estimate(_ state: State) -> Int {
        state.writtenRows == 0 ? 0 : state.deletedRows * (state.writtenBytes / state.writtenRows)
    }
}
