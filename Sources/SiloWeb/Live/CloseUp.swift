package import SiloCore

/// What costs a look of its own, and is looked at while somebody sees it: the process, and what storage holds.
package struct CloseUp: Sendable {
    package var process = Process()
    /// Of shards that are open here, by id; what is not there is being looked at.
    package var storage: [String: Storage] = [:]

    package struct Process: Sendable {
        package var residentBytes: UInt64?
        package var threads: Int?
        package var openFiles: Int?
        package var openFilesMax: Int?
        package var processors = 1
        /// Since the start, of all processors.
        package var processorSeconds: Double?
        /// How many were busy lately; nil: not known yet.
        package var busyProcessors: Double?
        package init() {}
    }

    /// Of one shard.
    package struct Storage: Sendable, Equatable {
        /// Sorted files that are not merged, and the runs that files were merged into.
        package var files = 0
        package var sortedRuns = 0
        /// Of all, of the files that are not merged, and of all but the largest run.
        package var bytes: UInt64 = 0
        package var flushedBytes: UInt64 = 0
        package var unmergedBytes: UInt64 = 0
        /// About, of rows that were deleted and are still in files.
        package var deletedBytes: UInt64 = 0
        /// Of the storage engine's own log.
        package var logFiles: UInt64 = 0
        /// Views that keep files from being deleted.
        package var checkpoints = 0
        package var oldestCheckpoint: Timestamp?
        package init() {}
    }

    package init() {}
}
