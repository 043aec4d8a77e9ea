import Foundation
import SlateDBBinding

/// What can be done to a database from beside its writer.
public struct Admin: Sendable {
    private let path: String
    private let store: ObjectStore
    private let logStore: ObjectStore?
    private let admin: SlateDBBinding.Admin

    public init(_ path: String, in store: ObjectStore, logStore: ObjectStore? = nil) throws(StorageError) {
        self.path = path
        self.store = store
        self.logStore = logStore
        admin = try lifting {
            let builder = AdminBuilder(path: path, objectStore: store.store)
            if let logStore { try builder.withWalObjectStore(walObjectStore: logStore.store) }
            return try builder.build()
        }
    }

    /// The newest manifest; nil when there is no database.
    public func manifest() async throws(StorageError) -> Manifest? {
        try await lifting { try await admin.readManifest(id: nil) }.map(Manifest.init)
    }

    /// Moves whenever somebody opens the database, or writes to it and flushes; nil when there is none. Looking fences nobody.
    public func activity() async throws(StorageError) -> Activity? {
        guard let manifest = try await manifest() else { return nil }
        let lastLogFile = try await lifting {
            let log = if let logStore {
                try SlateDbWalReader.withWalObjectStore(path: path, objectStore: store.store, walObjectStore: logStore.store)
            } else {
                try SlateDbWalReader(path: path, objectStore: store.store)
            }
            return try await log.lastWalFileId(replayAfterWalId: manifest.replayAfterLogFile)
        }
        return Activity(writerEpoch: manifest.writerEpoch, lastLogFile: lastLogFile)
    }

    /// The value of `key` as the newest sorted files have it: what is in a log only is not seen. Fences nobody, and writes
    /// nothing. Nil also when there is no database.
    public func sortedRow(_ key: [UInt8]) async throws(StorageError) -> [UInt8]? {
        guard try await manifest() != nil else { return nil }
        return try await lifting {
            let builder = DbReaderBuilder(path: path, objectStore: store.store)
            try builder.withReaderMode(mode: .followLatest)
            try builder.withOptions(options: Self.readerOptions)
            let reader = try await builder.build()
            do {
                let value = try await reader.get(key: Data(key))
                try await reader.shutdown()
                return value.map { Array($0) }
            } catch {
                try? await reader.shutdown()
                throw error
            }
        }
    }

    /// It is gone before it would look again.
    private static let readerOptions = ReaderOptions(
        manifestPollIntervalMs: 60_000, checkpointLifetimeMs: 600_000, maxMemtableBytes: 1 << 20, skipWalReplay: true,
        objectStoreMaxRetries: 3)

    /// How far a database's writers have come.
    public struct Activity: Equatable, Sendable {
        public let writerEpoch: UInt64
        public let lastLogFile: UInt64
    }

    /// Asks the compactor to merge everything into one sorted run. It works on its own.
    /// - Parameter always: rewrites a single sorted run too, so that the files are the database's own.
    /// - Returns: its id; nil when there is nothing to merge.
    @discardableResult
    public func submitFullCompaction(always: Bool = false) async throws(StorageError) -> String? {
        guard let manifest = try await lifting({ try await admin.readManifest(id: nil) }) else {
            throw .missing("there is no database at \(path) in \(store.url)")
        }
        let sources = manifest.l0.map { SourceId.sstView($0.id) } + manifest.compacted.map { SourceId.sortedRun($0.id) }
        guard sources.count > 1 || manifest.l0.count == 1 || (always && !sources.isEmpty) else { return nil }
        // The merged run takes the place of the lowest.
        let destination = manifest.compacted.map(\.id).min() ?? 0
        return try await changing {
            try await admin.submitCompaction(spec: .tiered(segment: Data(), sources: sources, destination: destination))
        }.id
    }

    public enum Progress: Equatable, Sendable {
        /// At this stage, with so many bytes behind it.
        case underWay(stage: String, bytes: UInt64)
        case done
        case failed
    }

    /// How far a compaction has come. One that is not known any more has ended.
    public func progress(of compaction: String) async throws(StorageError) -> Progress {
        let found = try await lifting { try await admin.readCompaction(compactionId: compaction, compactionsId: nil) }
        guard let found else { return .done }
        switch found.status {
        case .submitted, .scheduled, .running, .compacted:
            return .underWay(stage: "\(found.status)", bytes: found.bytesProcessed)
        case .failed: return .failed
        case .completed: return .done
        }
    }

    /// Keeps the database as it is now, for `lifetimeMilliseconds` or, when nil, until it is deleted. Returns its id.
    public func makeCheckpoint(
        name: String? = nil, lifetimeMilliseconds: UInt64?
    ) async throws(StorageError) -> String {
        let options = CheckpointOptions(lifetimeMs: lifetimeMilliseconds, source: nil, name: name)
        return try await changing { try await admin.createDetachedCheckpoint(options: options) }.id
    }

    /// The ids of the checkpoints called `name`; nil: of all.
    public func checkpoints(named name: String? = nil) async throws(StorageError) -> [String] {
        try await lifting { try await admin.listCheckpoints(nameFilter: name) }.map(\.id)
    }

    /// A view of the database that keeps its files from being deleted.
    public struct Checkpoint: Equatable, Sendable {
        public let id: String
        /// In seconds since the Unix epoch; nil: it stays until it is deleted.
        public let expiresAt: Int64?
        public let createdAt: Int64
    }

    public func allCheckpoints() async throws(StorageError) -> [Checkpoint] {
        try await lifting { try await admin.listCheckpoints(nameFilter: nil) }.map {
            Checkpoint(id: $0.id, expiresAt: $0.expireTimeSecs, createdAt: $0.createTimeSecs)
        }
    }

    public func deleteCheckpoint(_ id: String) async throws(StorageError) {
        try await changing { try await admin.deleteCheckpoint(id: id) }
    }

    /// A part of a database that a clone takes over: rows with `start <= key < end`.
    public struct Source: Sendable {
        public let path: String
        /// Nil: the database as it is now.
        public let checkpoint: String?
        public let start: [UInt8]?
        public let end: [UInt8]?

        public init(path: String, checkpoint: String? = nil, start: [UInt8]? = nil, end: [UInt8]? = nil) {
            self.path = path
            self.checkpoint = checkpoint
            self.start = start
            self.end = end
        }

        fileprivate var spec: CloneSourceSpec {
            let range = KeyRange(
                start: start.map { Data($0) }, startInclusive: true, end: end.map { Data($0) }, endInclusive: false
            )
            let isWhole = start == nil && end == nil
            return CloneSourceSpec(path: path, checkpoint: checkpoint, projectionRange: isWhole ? nil : range)
        }
    }

    /// Makes the database at this path out of parts of others, sharing their files. Ranges must not overlap.
    /// - Throws: `.invalid` also when a file is in two of the sources, as in siblings that were cut off one database: the first
    ///   compaction of the clone would lose the rows of one of them (seen with SlateDB 0.17). Compact one of them wholly first.
    public func clone(from sources: [Source]) async throws(StorageError) {
        guard let first = sources.first else { throw .invalid("a clone needs a source") }
        try await checkNothingIsShared(sources)
        try await changing {
            let builder = try admin.createCloneBuilderFromSource(source: first.spec)
            try builder.withClonePath(clonePath: path)
            try builder.withObjectStore(objectStore: store.store)
            if let logStore { try builder.withWalObjectStore(walObjectStore: logStore.store) }
            for source in sources.dropFirst() { try builder.withSource(source: source.spec) }
            try await builder.build()
        }
    }

    private func checkNothingIsShared(_ sources: [Source]) async throws(StorageError) {
        guard sources.count > 1 else { return }
        var owners: [SsTableId: String] = [:]
        for source in sources {
            let admin = try Admin(source.path, in: store)
            guard let manifest = try await lifting({ try await admin.admin.readManifest(id: nil) }) else { continue }
            for view in manifest.l0 + manifest.compacted.flatMap(\.sstViews) {
                guard let owner = owners.updateValue(source.path, forKey: view.sst.id), owner != source.path else { continue }
                throw .invalid("\(owner) and \(source.path) share a file: compact one of them wholly before they are joined")
            }
        }
    }

    /// Deletes every object of the database that no clone needs. Returns their names.
    @discardableResult
    public func delete() async throws(StorageError) -> [String] {
        try await lifting { try await admin.deleteDb(confirm: true) }
    }
}

/// What a database's manifest says: the shape of its files.
public struct Manifest: Sendable {
    public struct SortedRun: Equatable, Sendable {
        public let id: UInt32
        public let fileCount: Int
        /// Bytes.
        public let size: UInt64
    }

    public let id: UInt64
    public let writerEpoch: UInt64
    public let compactorEpoch: UInt64
    /// Files that were flushed and not yet compacted, and their bytes.
    public let flushedFiles: Int
    public let flushedSize: UInt64
    public let sortedRuns: [SortedRun]
    /// Bytes in all files but the log's.
    public var size: UInt64 { sortedRuns.reduce(flushedSize) { $0 + $1.size } }
    public let nextLogFile: UInt64
    public let replayAfterLogFile: UInt64
    /// The greatest stamp of a write in sorted files, in milliseconds since the Unix epoch; 0 when there is none.
    public let lastWrite: Int64

    init(_ manifest: VersionedManifest) {
        id = manifest.id
        writerEpoch = manifest.writerEpoch
        compactorEpoch = manifest.compactorEpoch
        flushedFiles = manifest.l0.count
        flushedSize = manifest.l0.reduce(0) { $0 + $1.estimatedSizeBytes }
        sortedRuns = manifest.compacted.map {
            SortedRun(id: $0.id, fileCount: $0.sstViews.count, size: $0.estimatedSizeBytes)
        }
        nextLogFile = manifest.nextWalSstId
        replayAfterLogFile = manifest.replayAfterWalId
        lastWrite = max(0, manifest.lastL0ClockTick)
    }
}
