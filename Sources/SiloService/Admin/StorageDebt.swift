import SiloAPI
package import SlateDB

/// What the files of one shard's database cost beyond what they hold: what is still to be merged, and what keeps files from being
/// deleted.
package struct StorageDebt: Sendable, Equatable {
    /// Files that were flushed and not merged yet, and their bytes.
    package var flushedFiles: Int
    package var flushedBytes: UInt64
    package var sortedRuns: Int
    /// Of all files, and of those that are not merged into the largest sorted run.
    package var bytes: UInt64
    package var unmergedBytes: UInt64
    /// Of the storage engine's own log, that are not in sorted files yet; 0 where the log is ours.
    package var logFiles: UInt64
    /// About, of rows that were deleted since the shard was opened and are still in files.
    package var deletedBytes: UInt64
    /// Views of the database that keep files from being deleted, and when the oldest was made, in seconds since the Unix epoch.
    package var checkpoints: Int
    package var oldestCheckpoint: Int64?

    package init(_ manifest: Manifest, _ checkpoints: [Admin.Checkpoint], deletedBytes: Int, hasLog: Bool) {
        flushedFiles = manifest.flushedFiles
        flushedBytes = manifest.flushedSize
        sortedRuns = manifest.sortedRuns.count
        bytes = manifest.size
        unmergedBytes = manifest.size - (manifest.sortedRuns.map(\.size).max() ?? 0)
        let (first, next) = (manifest.replayAfterLogFile + 1, manifest.nextLogFile)
        logFiles = hasLog && next > first ? next - first : 0
        self.deletedBytes = UInt64(max(0, deletedBytes))
        self.checkpoints = checkpoints.count
        oldestCheckpoint = checkpoints.map(\.createdAt).min()
    }
}

extension SiloV1.GetShardStorageInfoResponse {
    mutating func add(_ debt: StorageDebt) {
        unmergedBytes = debt.unmergedBytes
        deletedBytes = debt.deletedBytes
        logFiles = debt.logFiles
        checkpoints = UInt64(debt.checkpoints)
        oldestCheckpointAtMs = debt.oldestCheckpoint.map { $0 * 1000 }
    }
}
