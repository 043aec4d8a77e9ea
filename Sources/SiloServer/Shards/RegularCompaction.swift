import SiloCore
import SiloStore
import SiloTelemetry
import SlateDB

/// Asks for a merge of all files of a shard again and again, where the operator wants that.
struct RegularCompaction {
    let store: any KeyValueStore
    let admin: Admin
    let milliseconds: Int64
    let clock: any Clock
    let logger: Logger
    let shard: String

    /// For the first time after one period; until the task is cancelled.
    func run() async {
        while (try? await clock.sleep(milliseconds: milliseconds)) != nil {
            do {
                let isSubmitted = try await store.sorted?.mergeAll(admin) ?? false
                if isSubmitted { logger.info("full compaction submitted", ["shard": .init(shard)]) }
            } catch {
                logger.warn("periodic compaction failed; it is tried again in its time", [
                    "shard": .init(shard), "error": .init("\(error)"),
                ])
            }
        }
    }
}
