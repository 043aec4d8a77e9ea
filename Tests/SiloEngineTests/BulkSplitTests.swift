import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// A shard is cut in two, and joined again, while an action goes on.
@Suite(.timeLimit(.minutes(10))) struct BulkSplitTests {
    private static let tenants = (0..<40).map { Tenant("tenant \($0)") }
    private let border = Slice.all[Slice.count / 2]
    private var lower: ClosedRange<Slice> { Slice.all[0]...Slice.all[Int(border.number) - 1] }
    private var upper: ClosedRange<Slice> { border...Slice.all[Slice.count - 1] }

    /// A shard of parts of closed ones.
    private func make(_ parts: [(MemoryStore, ClosedRange<Slice>)]) async throws -> MemoryStore {
        let made = MemoryStore()
        for (store, slices) in parts {
            let range = Slice.rows(of: slices)
            let rows = try await store.scan(from: range.start, to: range.end, limit: .max)
            try await made.write(rows.map { Write(key: $0.key, value: $0.value) })
        }
        try await made.write(try await ShardPart.shardWideRows(of: parts.map { ShardPart($0.0, $0.1) }))
        try await made.flush()
        return made
    }

    /// A shard whose action has come a third of the way, and what was durable of it then.
    private func begun() async throws -> (MemoryStore, done: UInt64) {
        let finder = WordFinder(rowsMax: 5)
        let bench = try await Bench.open(finding: finder)
        for tenant in Self.tenants { for id in ["a", "b", "c"] { try await bench.enqueue(id, tenant: tenant) } }
        finder.afterEachPage { number in if number == 9 { bench.store.set { $0.failWrites = true } } }
        try await bench.begin(.cancel)
        while (try? await bench.pass(17)) != nil {}
        let store = bench.memory.crash()
        let row = try #require(try await store.get(ShardKeys.bulk(Bench.bulk)))
        return (store, try StorageV1.BulkAction(serializedBytes: row).done)
    }

    private func finished(_ store: MemoryStore) async throws -> (StorageV1.BulkAction, MemoryStore) {
        let bench = try await Bench.open(store, finding: WordFinder(rowsMax: 5))
        let action = try await bench.finishBulk()
        try await bench.shard.close()
        return (action, store.crash())
    }

    @Test("both halves do what is left of theirs, and together each job is done once")
    func cut() async throws {
        let (parent, before) = try await begun()
        #expect(before > 0 && before < 120)
        let (left, _) = try await finished(try await make([(parent, lower)]))
        let (right, _) = try await finished(try await make([(parent, upper)]))
        #expect(left.done + right.done == 120)
        #expect(left.refused + right.refused == 0)
        #expect(left.lookedAt + right.lookedAt == 120)
        #expect((left.end, right.end) == (.done, .done))
        #expect(left.expected == 120 && right.expected == 0, "one of them has the counts of before")
    }

    @Test("joined, they go on with what is left of both")
    func joined() async throws {
        let (parent, before) = try await begun()
        let (left, right) = (try await make([(parent, lower)]), try await make([(parent, upper)]))
        let (action, _) = try await finished(try await make([(right, upper), (left, lower)]))
        #expect(action.done == 120 && action.refused == 0 && before > 0)
        let (half, ended) = try await finished(left)
        let (rest, _) = try await finished(try await make([(ended, lower), (right, upper)]))
        #expect(half.end == .done && rest.done == 120 && rest.end == .done, "one had ended already")
    }

    @Test("joined, parts about some tenants each go on with those of both, and with nobody else")
    func joinedTenants() async throws {
        var halves: [(MemoryStore, ClosedRange<Slice>)] = []
        var asked: [Tenant] = []
        for slices in [lower, upper] {
            let bench = try await Bench.open()
            let own = Self.tenants.filter { slices.contains(TenantKeys($0).slice) }
            for tenant in own { try await bench.enqueue("a", tenant: tenant) }
            try await bench.begin(.cancel, of: Array(own.dropFirst()))
            asked += own.dropFirst()
            try await bench.shard.close()
            halves.append((bench.memory.crash(), slices))
        }
        let merged = try await make(halves)
        let bench = try await Bench.open(merged)
        #expect(try await bench.begin(.cancel, of: asked.sorted()).done == 0, "asked again, it is known")
        try await bench.shard.close()
        let (action, _) = try await finished(merged.crash())
        #expect(action.done == 38 && action.end == .done)
        #expect(action.scope == .these(asked.sorted()))
    }

    @Test("cut in two, an action about some tenants is known by those of one half")
    func cutTenants() async throws {
        let bench = try await Bench.open()
        for tenant in Self.tenants { try await bench.enqueue("a", tenant: tenant) }
        try await bench.begin(.cancel, of: Self.tenants)
        try await bench.shard.close()
        let half = try await Bench.open(try await make([(bench.memory.crash(), lower)]))
        let own = Self.tenants.filter { lower.contains(TenantKeys($0).slice) }
        #expect(try await half.begin(.cancel, of: own).goesOn)
        await #expect(throws: (any Error).self, "that would be more") { try await half.begin(.cancel) }
        try await half.shard.close()
    }

    @Test("an action about no tenant is refused, for it would be about everybody")
    func nobody() async throws {
        let bench = try await Bench.open()
        await #expect(throws: (any Error).self) { try await bench.begin(.cancel, of: []) }
        #expect(try await bench.bulks().isEmpty)
        try await bench.shard.close()
    }

    @Test("an action that has ended goes with both halves, and begins anew on neither")
    func ended() async throws {
        let (parent, _) = try await begun()
        let (_, store) = try await finished(parent)
        var halves: [(MemoryStore, ClosedRange<Slice>)] = []
        for (slices, done) in [(lower, UInt64(120)), (upper, 0)] {
            let half = try await make([(store, slices)])
            let bench = try await Bench.open(half, finding: WordFinder())
            let again = try await bench.begin(.cancel)
            #expect((again.end, again.done, again.lookedAt) == (.done, done, done))
            #expect(bench.shard.bulkCount == 0)
            try await bench.shard.close()
            halves.append((half.crash(), slices))
        }
        let bench = try await Bench.open(try await make(halves))
        #expect(try await bench.bulk()?.done == 120, "joined, they say what they did together")
        try await bench.shard.close()
    }

    @Test("joined to one that goes on, a part that ended badly shows in the end", arguments: [StorageV1.BulkEnd.stopped, .broken])
    func endedBadly(_ end: StorageV1.BulkEnd) async throws {
        let (parent, _) = try await begun()
        let (left, right) = (try await make([(parent, lower)]), try await make([(parent, upper)]))
        let row = try #require(try await left.get(ShardKeys.bulk(Bench.bulk)))
        var half = try StorageV1.BulkAction(serializedBytes: row)
        half.end(end, end == .broken ? "why" : "", at: Timestamp(5))
        try await left.write([Write(key: ShardKeys.bulk(Bench.bulk), value: half.serializedBytes())])
        try await left.flush()
        for parts in [[(left, lower), (right, upper)], [(right, upper), (left, lower)]] {
            let (whole, store) = try await finished(try await make(parts))
            #expect((whole.end, whole.error) == (end, half.error))
            #expect(whole.done < 120)
            let (again, _) = try await finished(try await make([(store, lower), (store, upper)]))
            #expect((again.end, again.error, again.done) == (end, half.error, whole.done))
        }
    }
}
