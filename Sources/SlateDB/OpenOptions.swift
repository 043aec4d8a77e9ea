import Foundation
import SlateDBBinding

/// How a database is opened.
public struct OpenOptions: Sendable {
    /// Where the log lies, when not beside the data. Whoever opens a database must name the place it was made with: SlateDB
    /// does not record it, and opens without a log what it cannot find.
    public var logStore: ObjectStore?
    /// SlateDB's own settings: dotted names such as `compactor_options.poll_interval`, values in JSON.
    public var settings: [String: String] = [:]
    /// Decoded blocks kept in memory, in bytes.
    public var blockCacheBytes: UInt64 = 64 << 20
    /// Indexes and filters kept in memory, in bytes.
    public var metadataCacheBytes: UInt64 = 32 << 20
    /// Folds an operand into a row's value: key, value so far, operand.
    public var mergeOperator: (@Sendable ([UInt8], [UInt8]?, [UInt8]) throws -> [UInt8])?
    /// Counts what the database does.
    public var metrics: Metrics?
    /// Refuses to make a new database: a wrong path or a lost bucket must not look like an empty one.
    public var mustExist = false
    /// Whether the database keeps a log. Without one, what is written is durable after `flush(.sortedFiles)` only; what an
    /// earlier opening left in a log is kept.
    public var hasLog = true

    public init() {}

    /// What the library knows of a table that is empty unless it is told.
    private static let schedulerNames = [
        "min_compaction_sources", "max_compaction_sources", "include_size_threshold", "sorted_run_consolidation_threshold",
    ].map { "compactor_options.scheduler_options.\($0)" }

    /// The names of all settings that the library knows.
    package static func settingNames() throws(StorageError) -> Set<String> { try names(of: .default()) }

    private static func names(of settings: SlateDBBinding.Settings) throws(StorageError) -> Set<String> {
        let known = try lifting { try JSONSerialization.jsonObject(with: Data(settings.toJsonString().utf8)) }
        return Set(leaves(of: known, "")).union(schedulerNames)
    }

    private static func leaves(of value: Any, _ name: String) -> [String] {
        guard let table = value as? [String: Any] else { return [name] }
        return table.flatMap { leaves(of: $1, name.isEmpty ? $0 : "\(name).\($0)") }
    }

    /// The library accepts unknown names in silence (spec/storage.md 12, fact 2), so they are checked here.
    func librarySettings() throws(StorageError) -> SlateDBBinding.Settings {
        let result = SlateDBBinding.Settings.default()
        var settings = settings
        if !hasLog { settings["wal_enabled"] = "false" }
        let known = try Self.names(of: result)
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
            guard known.contains(name) else { throw .invalid("unknown SlateDB setting \(name)") }
            do {
                try result.set(key: name, valueJson: value)
            } catch {
                throw .invalid("SlateDB setting \(name) = \(value): \(StorageError(error))")
            }
        }
        return result
    }
}

/// Makes a database's parts from the options, in the order that matters.
struct Opening {
    let path: String
    let store: ObjectStore
    let options: OpenOptions

    func open() async throws(StorageError) -> Database {
        let admin = try Admin(path, in: store, logStore: options.logStore)
        if options.mustExist, try await admin.manifest() == nil {
            throw .missing("there is no database at \(path) in \(store.url)")
        }
        let durability = try makeFolders()
        let db = try await build()
        do {
            // What the log held goes to sorted files, so that the manifest knows the stamp of the last write.
            try await Database.flush(db, .sortedFiles)
            let lastWrite = try await admin.manifest()?.lastWrite ?? 0
            return Database(
                db, durability: durability, metrics: options.metrics, lastWrite: lastWrite, isLocal: store.localRoot != nil)
        } catch {
            try? await lifting { try await db.shutdown() }
            throw error
        }
    }

    /// Makes what local databases need on their disks.
    private func makeFolders() throws(StorageError) -> Durability {
        let logStore = options.logStore ?? store
        // The log may lie on another disk than the data.
        for root in Set([store, logStore].compactMap(\.localRoot)) { try LocalFolder.make(root, path) }
        if logStore.isMemory { return .memory }
        return logStore.localRoot == nil ? .objectStore : .syncedFiles
    }

    private func build() async throws(StorageError) -> Db {
        try await lifting {
            let builder = DbBuilder(path: path, objectStore: store.store)
            try builder.withSettings(settings: options.librarySettings())
            // Four times the library's own: a merge works a block at a time, and an index has a row for each. Our rows are small.
            try builder.withSstBlockSize(sstBlockSize: .block16Kib)
            if let log = options.logStore { try builder.withWalObjectStore(walObjectStore: log.store) }
            let blocks = try DbCache.newMokaCache(options: MokaCacheOptions(
                maxCapacity: options.blockCacheBytes, timeToLive: nil, timeToIdle: nil
            ))
            let metadata = try DbCache.newMokaCache(options: MokaCacheOptions(
                maxCapacity: options.metadataCacheBytes, timeToLive: nil, timeToIdle: nil
            ))
            try builder.withDbCache(dbCache: DbCache.newSplitCache(blockCache: blocks, metaCache: metadata), dbCacheId: 0)
            if let fold = options.mergeOperator { try builder.withMergeOperator(mergeOperator: Fold(fold)) }
            if let metrics = options.metrics { try builder.withMetricsRecorder(metricsRecorder: metrics.recorder) }
            return try await builder.build()
        }
    }
}

private final class Fold: SlateDBBinding.MergeOperator {
    private let fold: @Sendable ([UInt8], [UInt8]?, [UInt8]) throws -> [UInt8]

    init(_ fold: @escaping @Sendable ([UInt8], [UInt8]?, [UInt8]) throws -> [UInt8]) { self.fold = fold }

    func merge(key: Data, existingValue: Data?, operand: Data) throws -> Data {
        do {
            return Data(try fold(Array(key), existingValue.map { Array($0) }, Array(operand)))
        } catch {
            throw MergeOperatorCallbackError.Failed(message: String(describing: error))
        }
    }
}
