import SiloCore
package import SiloStore
import SiloTelemetry
import SlateDB

/// Where a node keeps its databases: one for each shard, and the shard map.
package protocol NodeStorage: Sendable {
    /// Opens a database, and makes it where there is none.
    /// - Parameter mustExist: refuses to make one: a place that is gone must not look like an empty one.
    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore

    func erase(_ name: String) async throws

    /// Moves whenever somebody opens the database, or writes to it and makes that durable; nil when there is none. Looking fences
    /// nobody.
    func activity(of name: String) async throws -> StoreActivity?

    /// Where the database is, for people.
    func place(of name: String) -> String

    /// Keeps an open database in order, until the task is cancelled.
    func tend(_ name: String, _ store: any KeyValueStore) async
}

extension NodeStorage {
    package func place(of name: String) -> String { name }

    package func tend(_ name: String, _ store: any KeyValueStore) async {}
}

/// Databases of SlateDB in a data location, with logs of our own where those are on a local disk.
struct SlateStorage: NodeStorage {
    let location: DataLocation
    /// Nil: SlateDB keeps the logs.
    private let logs: LocalLogs?
    private let logger: Logger
    private let isMeasured: Bool
    /// The time between two merges of all files, in milliseconds; nil: they are merged when it is worth while.
    private let compaction: Int64?
    private let clock: any Clock
    private var options = OpenOptions()

    /// - Parameters:
    ///   - settings: SlateDB's own, as the operator wants them.
    ///   - compaction: the time between two merges of all files, in milliseconds.
    ///   - isMeasured: whether databases count what they do.
    init(
        _ location: DataLocation, _ settings: [String: String], logs: LocalLogs?,
        compaction: Int64? = nil, isMeasured: Bool = false, clock: any Clock, logger: Logger
    ) {
        self.clock = clock
        self.location = location
        self.isMeasured = isMeasured
        self.compaction = compaction
        self.logs = logs
        self.logger = logger
        options.hasLog = logs == nil
        // Looking for garbage lists objects, which a bucket charges for.
        let collection = location.isFolder ? Self.garbageSettings(interval: 30) : Self.garbageSettings(interval: 300)
        options.settings = Self.defaults.merging(collection) { $1 }.merging(settings) { $1 }
        if location.isFolder {
            // They keep a writer that was fenced long ago from bringing deleted files back. SlateDB's local store cannot write
            // them, and there the folder's lock keeps such a writer out.
            options.settings["garbage_collector_options.boundary_files_enabled"] = "false"
            // A merge that a killed process had begun is begun again after so long: by the folder's lock no other is at it.
            options.settings["compactor_options.worker_heartbeat_timeout"] = "\"4s\""
            options.settings["compactor_options.worker.heartbeat_interval"] = "\"1s\""
        }
    }

    /// Bounds what databases opened from now on keep of what they read.
    mutating func shareCache(_ settings: NodeSettings, among count: Int) {
        let share = settings.cacheBytes / UInt64(count)
        options.blockCacheBytes = settings.blockCacheBytes ?? max(1 << 20, share * 3 / 4)
        options.metadataCacheBytes = settings.metadataCacheBytes ?? max(1 << 20, share / 4)
    }

    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore {
        var options = options
        options.mustExist = mustExist
        if name != ShardMap.database, isMeasured { options.metrics = Metrics() }
        @Sendable func look() async throws(StorageError) -> Bytes? {
            try await location.admin(name).sortedRow(LogPosition.key)
        }
        guard let logs else {
            // Looked at first, for opening it puts the server out that has it; and then again, for one may have come in between.
            // The map of shards never has a log elsewhere.
            if name != ShardMap.database { try LogPosition.requireWhole(try await look(), of: name) }
            let store = SlateStore(try await location.open(name, options))
            do {
                try LogPosition.requireWhole(try await store.get(LogPosition.key), of: name)
                return store
            } catch {
                try? await store.close()
                throw error
            }
        }
        // The map is written once or twice in its life: sorted files will do.
        guard name != ShardMap.database else { return SlateStore(try await location.open(name, options), flushing: .sortedFiles) }
        if logs.isErasing(name) { try await endErasing(name, logs) }
        return try await logs.open(
            name,
            above: { [location, options] mustExist throws(StorageError) in
                var options = options
                options.mustExist = mustExist
                // Counters of one that is closed end with it.
                if options.metrics != nil { options.metrics = Metrics() }
                return try await location.open(name, options)
            }, mustExist: mustExist, look: look)
    }

    func place(of name: String) -> String { location.text.hasSuffix("/") ? location.text + name : "\(location.text)/\(name)" }

    func erase(_ name: String) async throws {
        guard let logs else { return _ = try await location.admin(name).delete() }
        try logs.beginErasing(name)
        try await endErasing(name, logs)
    }

    private func endErasing(_ name: String, _ logs: LocalLogs) async throws {
        try await location.admin(name).delete()
        try logs.endErasing(name)
    }

    func activity(of name: String) async throws -> StoreActivity? {
        let admin = try location.admin(name)
        guard logs == nil else {
            return try await admin.manifest().map { StoreActivity(openings: $0.writerEpoch, flushes: $0.id) }
        }
        return try await admin.activity().map { StoreActivity(openings: $0.writerEpoch, flushes: $0.lastLogFile) }
    }

    func tend(_ name: String, _ store: any KeyValueStore) async {
        let logged = store as? LoggedStore
        guard let admin = try? location.admin(name) else { return }
        async let watching: Void? = logged?.watchBelow()
        async let moving: Void? = logged?.moveRegularly()
        async let merging: Void? = compaction.map { milliseconds in
            RegularCompaction(store: store, admin: admin, milliseconds: milliseconds, clock: clock, logger: logger, shard: name)
        }?.run()
        await FreeSpace(store: store, admin: admin, clock: clock, logger: logger, shard: name).run()
        _ = await (watching, moving, merging)
    }

    /// What SlateDB is told unless the operator says otherwise.
    private static let defaults = [
        // Left alone, a call on a store that is gone waits for ever; here it fails, and the shard is opened anew.
        "object_store_max_retries": "3",
        // Memory for what is not in sorted files yet, in bytes: left alone it may grow to 1 GiB a shard.
        "max_unflushed_bytes": "134217728",
        "l0_sst_size_bytes": "33554432",
        "l0_flush_parallelism": "2",
        // Writers wait when as many files stand before the compactor; it looks often, so that they seldom do.
        "l0_max_ssts": "16",
        "l0_max_ssts_per_key": "16",
        "compactor_options.poll_interval": "\"1s\"",
        "compactor_options.worker.compactions_poll_interval": "\"1s\"",
        // A few small files are not merged with a large one each time: half of the writes, for some more files to look into.
        "compactor_options.scheduler_options.min_compaction_sources": "\"6\"",
        "compactor_options.scheduler_options.include_size_threshold": "\"2.0\"",
        "compactor_options.worker.max_sst_size": "67108864",
        "compactor_options.worker.max_fetch_tasks": "2",
        "compactor_options.worker.max_subcompactions": "1",
        // Files that were merged into others stay so long, for reads that began before. No read of ours takes a minute.
        "compactor_options.checkpoint_lifetime": "\"120s\"",
    ]

    /// - Parameter interval: seconds between two looks for files that nothing needs any more, and their least age.
    private static func garbageSettings(interval: Int) -> [String: String] {
        var settings: [String: String] = [:]
        for kind in ["manifest", "wal", "compacted", "compactions"] {
            settings["garbage_collector_options.\(kind)_options.interval"] = "\"\(interval)s\""
            settings["garbage_collector_options.\(kind)_options.min_age"] = "\"\(max(60, interval))s\""
        }
        return settings
    }
}
