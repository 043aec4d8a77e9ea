import Protobuf
import SiloCore
import SiloStore

/// Which shards there are and which tenants belong to each. Stored beside the data, so that a shard keeps its id for life.
struct ShardMap: Sendable {
    struct Entry: Sendable, Equatable {
        let id: ShardID
        let range: ShardRange
    }
    /// In order of their ranges, which cover every hash once.
    let entries: [Entry]
    /// Whether its jobs are of named tenants; nil when an older program made it, which did not say.
    private var tenancy: Bool?

    static let database = "map"
    private static let key: Bytes = [0x01]

    /// Reads the map, or makes one as the settings say where there is none.
    static func open(
        in storage: any NodeStorage, _ settings: NodeSettings, random: any RandomSource
    ) async throws -> ShardMap {
        let store = try await storage.open(database, mustExist: false)
        do {
            let map = try await read(store, settings, random: random)
            try await store.close()
            return map
        } catch {
            try? await store.close()
            throw error
        }
    }

    private static func read(
        _ store: any KeyValueStore, _ settings: NodeSettings, random: any RandomSource
    ) async throws -> ShardMap {
        var map: ShardMap
        if let bytes = try await store.get(key) {
            map = try ShardMap(StorageV1.ShardMap(serializedBytes: bytes))
            try map.check(settings)
            // The mark can wait until the clock has passed the last write; the shards cannot.
            guard map.tenancy == nil, store.clockLag == nil else { return map }
        } else {
            let ranges = ShardRange.even(settings.newShardCount)
            map = ShardMap(entries: ranges.map { Entry(id: ShardID(.random(from: random)), range: $0) })
        }
        map.tenancy = settings.tenancy
        try await store.write([Write(key: key, value: map.record.serializedBytes())])
        try await store.flush()
        return map
    }

    /// Jobs of named tenants are out of reach without tenancy, and those of nobody with it.
    private func check(_ settings: NodeSettings) throws(StartError) {
        guard let tenancy, tenancy != settings.tenancy else { return }
        let (made, way) = tenancy ? ("with", "with --tenancy") : ("without", "without --tenancy")
        throw StartError(
            "\(settings.data) was made \(made) tenancy, and its jobs could not be reached: "
                + "start the server \(way), or name another place with \(settings.names.data)"
        )
    }

    private init(entries: [Entry]) {
        self.entries = entries
    }

    private init(_ record: StorageV1.ShardMap) throws {
        entries = try record.shards.map { entry in
            guard let id = ShardID(entry.id) else { throw StartError("the stored shard map names a shard \(entry.id)") }
            let range = ShardRange(start: try Self.bound(entry.rangeStart), end: try Self.bound(entry.rangeEnd))
            return Entry(id: id, range: range)
        }
        guard !entries.isEmpty else { throw StartError("the stored shard map is empty") }
        tenancy = record.tenancy
    }

    private static func bound(_ text: String) throws -> TenantHash? {
        guard !text.isEmpty else { return nil }
        guard let hash = TenantHash(text: text) else { throw StartError("the stored shard map has a bound \(text)") }
        return hash
    }

    private var record: StorageV1.ShardMap {
        var record = StorageV1.ShardMap()
        record.tenancy = tenancy
        record.shards = entries.map { entry in
            var stored = StorageV1.ShardMap.Entry()
            stored.id = entry.id.description
            stored.rangeStart = entry.range.start?.text ?? ""
            stored.rangeEnd = entry.range.end?.text ?? ""
            return stored
        }
        return record
    }
}
