import SiloStore
import SiloTelemetry
import SlateDB

/// Gives the space of deleted rows back.
///
/// SlateDB merges files of like size when there are enough of them; what was deleted may wait for ever in a large file that
/// nothing is merged with. So all files are merged into one whenever deleted rows are thought to take up as much as what is left:
/// what is written for it is bounded by what was written before.
struct FreeSpace {
    let store: any KeyValueStore
    let admin: Admin
    let logger: Logger
    let shard: String

    /// Less than that is not worth a merge, in bytes.
    private static let bytesMin = 128 << 20
    private static let interval = Duration.seconds(20)
    private static let looksMax = 90

    /// Looks again and again, until the task is cancelled.
    func run() async {
        while (try? await Task.sleep(for: Self.interval)) != nil {
            do {
                try await mergeIfWorthwhile()
            } catch {
                logger.warn("files were not merged", ["shard": .init(shard), "error": .init("\(error)")])
            }
        }
    }

    /// Above the data, where the log is our own.
    private var log: LoggedStore? { store as? LoggedStore }

    private func mergeIfWorthwhile() async throws {
        guard let store = (log?.below ?? store) as? SlateStore else { return }
        let deleted = store.deletedBytes.estimate
        guard deleted >= Self.bytesMin, let before = try await admin.manifest(), UInt64(deleted) * 2 >= before.size else {
            return
        }
        // What is in memory and in the log says what was deleted.
        if let log { try await log.checkpoint() } else { try await store.database.flush(.sortedFiles) }
        guard let merge = try await admin.submitFullCompaction() else { return }
        for _ in 0..<Self.looksMax {
            try await Task.sleep(for: Self.interval)
            switch try await admin.progress(of: merge) {
            case .underWay: continue
            case .failed: throw StorageError.unavailable("the merge failed; it is tried again")
            case .done:
                store.deletedBytes.freed(deleted)
                let after = try await admin.manifest()?.size ?? 0
                return logger.info("merged the files of deleted rows", [
                    "shard": .init(shard), "bytes_before": .init(before.size), "bytes_after": .init(after),
                ])
            }
        }
    }
}
