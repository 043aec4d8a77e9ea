import SiloCore
import SiloStore
import SiloTelemetry
import SiloTesting
import SlateDB
import TestSupport
import Testing

@testable import SiloServer

/// Space of deleted rows, by a clock that the test moves.
@Suite(.timeLimit(.minutes(10))) struct FreeSpaceTests {
    private let folder: TemporaryFolder
    private let clock: ManualClock
    private let changes = Signal()

    init() throws {
        folder = try TemporaryFolder()
        clock = ManualClock(changes: changes)
    }

    /// - Parameter looks: how often the compactor looks for merges to be made.
    private func open(looksEvery looks: String) async throws -> (SlateStore, Admin) {
        var options = OpenOptions()
        options.hasLog = false
        options.settings["compactor_options.poll_interval"] = "\"\(looks)\""
        options.settings["compactor_options.worker.compactions_poll_interval"] = "\"\(looks)\""
        let database = try await Database.open("db", in: .local(folder.path), options)
        return (SlateStore(database, flushing: .sortedFiles), try Admin("db", in: .local(folder.path)))
    }

    /// Half of what is stored is deleted.
    private func fill(_ store: SlateStore) async throws {
        try await store.write((1...20).map { Write(key: [$0], value: Bytes(repeating: $0, count: 10_000)) })
        try await store.flush()
        try await store.write((1...15).map { Write(key: [$0], value: nil) })
        try await store.flush()
    }

    private func tending(
        _ store: SlateStore, _ admin: Admin, bytesMin: Int = 1, log: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Task<Void, Never> {
        let freeing = FreeSpace(
            store: store, admin: admin, clock: clock, logger: Logger("storage", write: log), shard: "s", bytesMin: bytesMin)
        // Ends with the test, which cancels it.
        return Task { await freeing.run() }
    }

    /// The next look begins.
    private func look() async throws {
        try await changes.wait(for: "it sleeps") { !clock.sleepers.isEmpty }
        clock.advance(milliseconds: 20_000)
    }

    @Test("files are merged when much of them was deleted, and then nothing is owed")
    func merges() async throws {
        let (store, admin) = try await open(looksEvery: "20ms")
        try await fill(store)
        let task = tending(store, admin)
        try await eventually("the space to be free") {
            if !clock.sleepers.isEmpty { clock.advance(milliseconds: 20_000) }
            return store.deletedBytes.estimate == 0
        }
        #expect(store.deletedBytes.merges.isEmpty)
        task.cancel()
        await task.value
        try await store.close()
    }

    @Test("while a merge is under way no other is asked for")
    func slowMerge() async throws {
        let (store, admin) = try await open(looksEvery: "3600s")
        try await fill(store)
        let task = tending(store, admin)
        for _ in 0..<100 { try await look() }
        #expect(store.deletedBytes.merges.count == 1)
        #expect(store.deletedBytes.estimate > 0)
        task.cancel()
        await task.value
        try await store.close()
    }

    @Test("a merge that stands still for hours is told of once and waited for no longer: the next is asked for")
    func standstill() async throws {
        let (store, admin) = try await open(looksEvery: "36000s")
        try await fill(store)
        let lines = Box<String>()
        let task = tending(store, admin, log: { lines.add($0) })
        try await look()
        try await changes.wait(for: "it sleeps") { !clock.sleepers.isEmpty }
        let first = try #require(store.deletedBytes.merges.first?.id)
        // Seen for the first time, and so long after.
        try await look()
        try await changes.wait(for: "it sleeps") { !clock.sleepers.isEmpty }
        clock.advance(milliseconds: 6 * 3_600_000 - 20_000)
        try await changes.wait(for: "it sleeps") { !clock.sleepers.isEmpty }
        #expect(store.deletedBytes.merges.map(\.id) == [first] && lines.all == [])
        for _ in 0..<3 { try await look() }
        try await changes.wait(for: "it sleeps") { !clock.sleepers.isEmpty }
        let next = store.deletedBytes.merges.map(\.id)
        #expect(next.count == 1 && next != [first])
        let told = lines.all
        #expect(told.count == 1 && told[0].contains("stands still") && told[0].contains(first), "\(told)")
        #expect(told.allSatisfy { $0.contains("stage=submitted") && $0.contains("waited_ms=21600000") }, "\(told)")
        task.cancel()
        await task.value
        try await store.close()
    }

    @Test("a merge that somebody else asked for counts")
    func othersMerge() async throws {
        let (store, admin) = try await open(looksEvery: "20ms")
        try await fill(store)
        #expect(try await store.mergeAll(admin))
        let task = tending(store, admin, bytesMin: .max)
        try await eventually("the space to be free") {
            if !clock.sleepers.isEmpty { clock.advance(milliseconds: 20_000) }
            return store.deletedBytes.estimate == 0
        }
        task.cancel()
        await task.value
        try await store.close()
    }
}
