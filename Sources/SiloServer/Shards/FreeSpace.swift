import SiloCore
import SiloStore
import SiloTelemetry
import SlateDB

/// Gives the space of deleted rows back.
///
/// SlateDB merges files of like size when there are enough of them; what was deleted may wait for ever in a large file that
/// nothing is merged with. So all files are merged into one whenever deleted rows are thought to take up as much as what is left:
/// what is written for it is bounded by what was written before.
///
/// It also sees to the end of merges that others have asked for. While one is under way it asks for none. One that stands still
/// for hours counts as failed: the compactor may have passed it over.
struct FreeSpace {
    /// A merge that is waited for, how far it has come, and since when it has been there.
    private struct Awaited {
        let merge: String
        let progress: Admin.Progress
        let since: Timestamp
    }
    let store: any KeyValueStore
    let admin: Admin
    let clock: any Clock
    let logger: Logger
    let shard: String
    /// Less than that is not worth a merge, in bytes.
    var bytesMin = 128 << 20
    /// How long a merge may stand still.
    var standstillMilliseconds: Int64 = 6 * 3_600_000

    private static let intervalMilliseconds: Int64 = 20_000

    /// Looks again and again, until the task is cancelled.
    func run() async {
        var awaited: Awaited?
        while (try? await clock.sleep(milliseconds: Self.intervalMilliseconds)) != nil {
            do {
                guard let sorted = store.sorted else { continue }
                if try await isAtRest(sorted, &awaited) { try await mergeIfWorthwhile(sorted) }
            } catch {
                logger.warn("files were not merged", ["shard": .init(shard), "error": .init("\(error)")])
            }
        }
    }

    /// Notes which merges have ended.
    /// - Returns: whether all have.
    private func isAtRest(_ sorted: SlateStore, _ awaited: inout Awaited?) async throws -> Bool {
        for merge in sorted.deletedBytes.merges {
            let progress = try await admin.progress(of: merge.id)
            switch progress {
            case .underWay(let stage, let bytes):
                guard let known = awaited, known.merge == merge.id, known.progress == progress else {
                    awaited = Awaited(merge: merge.id, progress: progress, since: clock.steady)
                    return false
                }
                let milliseconds = clock.steady.milliseconds - known.since.milliseconds
                guard milliseconds >= standstillMilliseconds else { return false }
                sorted.deletedBytes.ended(merge, isDone: false)
                logger.warn("a merge of all files stands still, and is waited for no longer", [
                    "shard": .init(shard), "merge": .init(merge.id), "stage": .init(stage), "bytes_merged": .init(bytes),
                    "bytes_before": .init(merge.fileBytes), "waited_ms": .number(milliseconds),
                ])
            case .failed:
                sorted.deletedBytes.ended(merge, isDone: false)
                logger.warn("a merge of all files failed", ["shard": .init(shard)])
            case .done:
                sorted.deletedBytes.ended(merge, isDone: true)
                let after = try await admin.manifest()?.size ?? 0
                logger.info("merged the files of deleted rows", [
                    "shard": .init(shard), "bytes_before": .init(merge.fileBytes), "bytes_after": .init(after),
                ])
            }
        }
        return true
    }

    private func mergeIfWorthwhile(_ sorted: SlateStore) async throws {
        let deleted = sorted.deletedBytes.estimate
        guard deleted >= bytesMin, let before = try await admin.manifest(), UInt64(deleted) * 2 >= before.size else { return }
        // What is in memory and in the log says what was deleted.
        if let log = store as? LoggedStore { try await log.checkpoint() } else { try await sorted.database.flush(.sortedFiles) }
        try await sorted.mergeAll(admin)
    }
}
