import SiloCore
import SiloTesting
import Synchronization
import TestSupport
import Testing

@testable import SiloStore

@Suite("What a log's worker does", .timeLimit(.minutes(10))) struct LogWorkTests {
    private let bench = LogBench()

    private func open() async throws -> (LoggedStore, HookedLogDisk) {
        let disk = HookedLogDisk(try bench.disk.mount())
        let environment = Environment(clock: bench.clock, random: SeededRandom(seed: 2))
        var place = LogPlace("shard", disk, try LogThread(), in: environment)
        place.settings.segmentBytes = 16 * LogFormat.blockBytes
        place.onEvent = { [events = bench.events] event in events.add("\(event)") }
        return (try await LoggedStore.open(bench.below, place, LogBudget()), disk)
    }

    @Test("while load lasts, what others gave the worker gets its turn after the append under way")
    func fair() async throws {
        let (store, disk) = try await open()
        let syncs = Tally()
        let turn = Box<Int>()
        disk.set { [store] _ in
            let count = syncs.add()
            guard count <= 100 else { return }
            // As a checkpoint frees segments.
            if count == 1 { store.place.worker.run { turn.add(syncs.value) } }
            // Another writer got in while the disk was at it.
            let batch = [row(UInt8(count))]
            try? store.state.withLock { state throws(StoreError) in
                try state.apply(batch, BatchCoding.encode(batch), overdraftMax: 0)
            }
        }
        try await store.write([row(0)])
        try await store.flush()
        try await turn.until(1)
        #expect(turn.all == [1], "not after all of the load")
        // Each has a sync of its own to wait for, until the load is over.
        while syncs.value <= 100 { try await store.flush() }
        disk.set(nil)
        for key in 0...100 as ClosedRange<UInt8> { #expect(try await store.get([1, key]) != nil) }
        try await store.close()
    }

    @Test("a file for later that cannot be filled is given up, and another is made")
    func spareFails() async throws {
        let (store, disk) = try await open()
        let failed = Box<String>(changes: bench.changes)
        let first = bench.disk.names
        disk.set { file throws(LogDiskError) in
            guard !first.contains(file), failed.count == 0 else { return }
            failed.add(file)
            throw .failed("the disk does not take it")
        }
        try await fill(store, from: 0)
        #expect(failed.count == 1)
        #expect(store.refusal == nil && store.isOpen)
        #expect(!bench.disk.names.contains(failed.all[0]), "it is removed")
        try await fill(store, from: 100)
        #expect(!bench.happened("noSpace"))
        try await store.close()
    }

    @Test("one that a sync finds no space for is a lack of space, for nothing was in it")
    func spareFindsNoSpace() async throws {
        let (store, disk) = try await open()
        bench.below.set { $0.failFlushes = true }
        let first = bench.disk.names
        disk.set { file throws(LogDiskError) in
            if !first.contains(file) { throw .noSpaceToSync("the disk is full") }
        }
        for key in 0..<9 as Range<UInt8> {
            try await store.write([row(key)])
            try await store.flush()
        }
        try await bench.changes.wait(for: "a refusal") { store.refusal != nil }
        #expect(store.isOpen && bench.happened("noSpace"))
        disk.set(nil)
        try await bench.pass(until: "changes to be taken") { store.refusal == nil }
        bench.below.set { $0.failFlushes = false }
        try await store.close()
    }

    @Test("a record that a sync finds no space for ends the store: nobody knows what is on the disk")
    func recordFindsNoSpace() async throws {
        let (store, disk) = try await open()
        disk.set { _ throws(LogDiskError) in throw .noSpaceToSync("the disk is full") }
        try await store.write([row(1)])
        let error = try await bench.outcome { () throws(StoreError) in try await store.flush() }.error
        #expect(error == .unavailable("the log cannot be used: the disk is full"))
        #expect(!store.isOpen)
    }

    /// Several segments.
    private func fill(_ store: LoggedStore, from first: UInt8) async throws {
        for key in first..<first + 60 {
            try await store.write([row(key)])
            try await store.flush()
        }
    }

    @Test("one that could not be opened has let go of its folder when it says so")
    func letsGo() async throws {
        let bench = bench
        let folder = try TemporaryFolder()
        for _ in 0..<100 {
            bench.below.set { $0.failReads = true }
            let environment = Environment(clock: bench.clock, random: SeededRandom(seed: 2))
            let place = LogPlace("shard", try FolderLogDisk("\(folder.path)/log"), try LogThread(), in: environment)
            await #expect(throws: StoreError.unavailable("injected fault")) {
                try await LoggedStore.open(bench.below, place, LogBudget())
            }
            bench.below.set { $0.failReads = false }
        }
    }

    @Test("closing does not wait for a log's disk that does not answer")
    func hangingDisk() async throws {
        let (store, _) = try await open()
        let hold = Hold()
        try await hold.up { store.place.worker.run($0) }
        let closed = try await bench.outcome { () throws(StoreError) in try await store.close() }
        #expect(closed.error != nil)
        hold.release()
    }
}
