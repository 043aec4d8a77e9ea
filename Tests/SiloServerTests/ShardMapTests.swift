import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Synchronization
import Testing

@testable import SiloServer

/// One store for whatever is opened; each opening finds what the ones before made durable.
private final class SharedStore: NodeStorage {
    private let rows = Mutex(MemoryStore())

    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore { crash() }
    func erase(_ name: String) async throws {}
    func activity(of name: String) async throws -> StoreActivity? { nil }

    private func crash() -> MemoryStore {
        rows.withLock { rows in
            rows = rows.crash()
            return rows
        }
    }

    /// The map as programs wrote it that knew no mark.
    func forgetTenancy() async throws {
        let store = crash()
        let key: Bytes = [0x01]
        var map = try StorageV1.ShardMap(serializedBytes: try await store.get(key) ?? [])
        #expect(map.tenancy != nil)
        map.tenancy = nil
        try await store.write([Write(key: key, value: map.serializedBytes())])
        try await store.flush()
    }
}

@Suite(.timeLimit(.minutes(10))) struct ShardMapTests {
    private func open(_ storage: some NodeStorage, tenancy: Bool) async throws -> ShardMap {
        var settings = NodeSettings(data: "somewhere")
        settings.tenancy = tenancy
        return try await ShardMap.open(in: storage, settings, random: SeededRandom(seed: 1))
    }

    @Test("a map is served with or without tenancy as it was made", arguments: [false, true])
    func asItWasMade(tenancy: Bool) async throws {
        let storage = SharedStore()
        let made = try await open(storage, tenancy: tenancy)
        await #expect(throws: StartError.self) { try await open(storage, tenancy: !tenancy) }
        #expect(try await open(storage, tenancy: tenancy).entries == made.entries)
    }

    @Test("a map that does not say gets the mark of its next start", arguments: [false, true])
    func aMapThatDoesNotSay(tenancy: Bool) async throws {
        let storage = SharedStore()
        let made = try await open(storage, tenancy: !tenancy)
        try await storage.forgetTenancy()
        #expect(try await open(storage, tenancy: tenancy).entries == made.entries)
        await #expect(throws: StartError.self) { try await open(storage, tenancy: !tenancy) }
    }
}
