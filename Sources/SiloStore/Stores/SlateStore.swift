public import SiloCore
public import SlateDB

/// A shard's database in SlateDB.
public final class SlateStore: KeyValueStore {
    /// The database itself, for what is not reading and writing: metrics, and how it is durable.
    public let database: Database
    /// What was deleted and is still in the files.
    public let deletedBytes = DeletedBytes()

    private let target: Database.FlushTarget

    /// - Parameter target: what a flush writes. A database without a log of its own is durable in sorted files only.
    public init(_ database: Database, flushing target: Database.FlushTarget = .log) {
        self.database = database
        self.target = target
    }

    public func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        do { return try await database.get(key) } catch { throw StoreError(error) }
    }

    public func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        do { return rows(try await database.scan(from: start, to: end, limit: limit)) } catch { throw StoreError(error) }
    }

    public func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        do {
            let (found, hasMore) = try await database.scan(from: start, to: end, limit: limit, bytesMax: bytesMax)
            return RowPage(rows(found), hasMore: hasMore)
        } catch {
            throw StoreError(error)
        }
    }

    public func write(_ batch: [Write]) async throws(StoreError) {
        do {
            var changes = WriteBatch()
            for write in batch {
                switch (write.value, write.expiresAt) {
                case (let value?, let time?):
                    try changes.put(write.key, value, expiresAtMilliseconds: time.milliseconds)
                case (let value?, nil): try changes.put(write.key, value)
                case (nil, _): try changes.delete(write.key)
                }
            }
            try await database.write(changes)
            deletedBytes.count(batch)
        } catch {
            throw StoreError(error)
        }
    }

    public func flush() async throws(StoreError) {
        do { try await database.flush(target) } catch { throw StoreError(error) }
    }

    /// A view of what is written. One of what is durable would move: what counts as durable is asked anew by each read.
    public func snapshot() async throws(StoreError) -> any StoreReader {
        do { return SlateSnapshot(try await database.snapshot()) } catch { throw StoreError(error) }
    }

    public func close() async throws(StoreError) {
        do { try await database.close() } catch { throw StoreError(error) }
    }

    /// Asks for a merge of all files, by which rows go that were deleted before. It goes on by itself.
    /// - Returns: whether there is anything to merge.
    @discardableResult
    public func mergeAll(_ admin: Admin) async throws(StorageError) -> Bool {
        let size = try await admin.manifest()?.size ?? 0
        guard let merge = try await admin.submitFullCompaction() else { return false }
        deletedBytes.began(merge: merge, fileBytes: size)
        return true
    }

    public var isOpen: Bool { database.isOpen }
    public var isOutdated: Bool { database.isOutdated }
    public var clockLag: ClockLag? { database.clockLag }
    public var durability: Durability? { database.durability }
}

extension KeyValueStore {
    /// Its sorted files, be they below a log of our own or not; nil: it has none.
    public var sorted: SlateStore? { ((self as? LoggedStore)?.below ?? self) as? SlateStore }
}

private struct SlateSnapshot: StoreReader {
    let snapshot: Snapshot

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        do { return try await snapshot.get(key) } catch { throw StoreError(error) }
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        do { return rows(try await snapshot.scan(from: start, to: end, limit: limit)) } catch { throw StoreError(error) }
    }

    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        do {
            let (found, hasMore) = try await snapshot.scan(from: start, to: end, limit: limit, bytesMax: bytesMax)
            return RowPage(rows(found), hasMore: hasMore)
        } catch {
            throw StoreError(error)
        }
    }
}

private func rows(_ rows: [KeyValue]) -> [Row] { rows.map { Row(key: $0.key, value: $0.value) } }

extension StoreError {
    /// What the storage engine's error means for the shard above it.
    public init(_ error: StorageError) {
        switch error {
        case .fenced(let text): self = .fenced(text, cause: error)
        case .closed(let text), .unavailable(let text), .conflict(let text): self = .unavailable(text, cause: error)
        // One call that went wrong says nothing about what is stored.
        case .invalid(let text), .internalError(let text): self = .unavailable(text, cause: error)
        case .clockBehind(let lag): self = .behind(lag)
        case .corrupt(let text), .missing(let text): self = .corrupt(text, cause: error)
        }
    }
}
