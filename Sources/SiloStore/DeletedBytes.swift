import Synchronization

/// Estimates what deleted rows still take up in a store's files: each as much as rows had on average when they were written. Only
/// what happened since the store was opened counts. What was deleted before a merge of all files was begun is gone when that has
/// ended.
public final class DeletedBytes: Sendable {
    /// A merge of all files that has not ended, as far as is known.
    public struct Merge: Sendable {
        public let id: String
        /// Of all files before it.
        public let fileBytes: UInt64
        fileprivate let deletedRows: Int
    }
    private struct State {
        var writtenRows = 0
        var writtenBytes = 0
        var deletedRows = 0
        /// Of those, such as are gone from the files.
        var goneRows = 0
        var merges: [Merge] = []
    }
    private let state = Mutex(State())

    public init() {}

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

    public var estimate: Int {
        state.withLock { state in
            let rows = state.deletedRows - state.goneRows
            return state.writtenRows == 0 ? 0 : rows * (state.writtenBytes / state.writtenRows)
        }
    }

    /// Merges that were begun, by whomever, the oldest first.
    public var merges: [Merge] { state.withLock { $0.merges } }

    public func began(merge id: String, fileBytes: UInt64) {
        state.withLock { $0.merges.append(Merge(id: id, fileBytes: fileBytes, deletedRows: $0.deletedRows)) }
    }

    /// - Parameter isDone: it was carried through.
    public func ended(_ merge: Merge, isDone: Bool) {
        state.withLock { state in
            state.merges.removeAll { $0.id == merge.id }
            if isDone { state.goneRows = max(state.goneRows, merge.deletedRows) }
        }
    }
}
