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

    private func tending(_ store: SlateStore, _ admin: Admin, bytesMin: Int = 1) -> Task<Void, Never> {
        let freeing = FreeSpace(
            store: store, admin: admin, clock: clock, logger: Logger("storage", write: { _ in }), shard: "s", bytesMin: bytesMin)
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

    @Test("while a merge is under way no other is asked for, however long it takes")
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
