import SiloCore
import SiloTesting
import TestSupport
import Testing

@testable import SiloStore

@Suite("A disk that is full", .timeLimit(.minutes(10))) struct FullDiskTests {
    private let bench = LogBench()

    @Test("changes are refused while the log still has room for what is under way, and taken when there is space")
    func refusedInTime() async throws {
        let store = try await bench.open()
        try await store.write([row(1)])
        try await store.flush()
        bench.disk.bytesMax = bench.disk.bytes
        // Below there is no space either.
        bench.below.set { $0.failFlushes = true }
        // A block each, up to a little more than half of the file.
        for key in 2...8 as ClosedRange<UInt8> {
            try await store.write([row(key)])
            try await store.flush()
        }
        try await bench.changes.wait(for: "a refusal") { store.refusal != nil }
        guard case .full(let text) = store.refusal else {
            Issue.record("it is not refused")
            return
        }
        #expect(text.contains("no space is left for the log"))
        // There is room still, so what was under way is durable, and all is read.
        try await store.write([row(9)])
        try await store.flush()
        #expect(try await store.get([1, 9]) == [9])
        #expect(try await store.snapshot().get([1, 2]) == [2])
        bench.disk.bytesMax = .max
        try await bench.pass(until: "changes to be taken") { store.refusal == nil }
        #expect(bench.happened("noSpace") && bench.happened("spaceAgain"))
        bench.below.set { $0.failFlushes = false }
        try await store.close()
    }

    @Test("what did not fit any more is not lost: its flush says so, and is made good when there is space")
    func waitsForSpace() async throws {
        let store = try await bench.open()
        bench.disk.bytesMax = bench.disk.bytes
        bench.below.set { $0.failFlushes = true }
        try await store.write([row(1, 20 * LogFormat.blockBytes)])
        guard case .full = try await bench.outcome({ () throws(StoreError) in try await store.flush() }).error else {
            Issue.record("there was space")
            return
        }
        #expect(try await store.get([1, 1])?.count == 20 * LogFormat.blockBytes)
        #expect(store.refusal != nil)
        bench.disk.bytesMax = .max
        try await bench.pass(until: "changes to be taken") { store.refusal == nil }
        try await store.flush()
        bench.crash()
        let next = try await bench.open()
        #expect(try await next.get([1, 1])?.count == 20 * LogFormat.blockBytes)
        try await next.close()
    }

    @Test("what is durable goes below all the same, which gives the log its space back")
    func givesSpaceBack() async throws {
        let store = try await bench.open()
        for key in 0..<30 as Range<UInt8> {
            try await store.write([row(key, 3 * LogFormat.blockBytes)])
            try await store.flush()
        }
        bench.below.set { $0.failFlushes = true }
        _ = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        bench.disk.bytesMax = bench.disk.bytes
        var key: UInt8 = 100
        var isFull = false
        while !isFull, key < 120 {
            key += 1
            try await store.write([row(key, 10 * LogFormat.blockBytes)])
            if case .full = try await bench.outcome({ () throws(StoreError) in try await store.flush() }).error { isFull = true }
        }
        #expect(isFull)
        bench.below.set { $0.failFlushes = false }
        try await bench.pass(until: "changes to be taken") { store.refusal == nil }
        try await store.flush()
        #expect(try await store.get([1, key])?.count == 10 * LogFormat.blockBytes)
        try await store.close()
    }

    @Test("a store opens on a full disk, serves reads, and takes changes when there is space")
    func opensOnAFullDisk() async throws {
        let store = try await bench.open()
        try await store.write([row(1)])
        try await store.flush()
        bench.crash()
        bench.disk.bytesMax = bench.disk.bytes
        bench.below.set { $0.failFlushes = true }
        // What is marked already needs no flush.
        let next = try await bench.open()
        #expect(try await next.get([1, 1]) == [1])
        try await bench.changes.wait { next.refusal != nil }
        bench.disk.bytesMax = .max
        try await bench.pass(until: "changes to be taken") { next.refusal == nil }
        bench.below.set { $0.failFlushes = false }
        try await next.close()
    }

    @Test("files that are kept for later count, and have one bound for all logs")
    func spareFiles() async throws {
        let segment = 16 * LogFormat.blockBytes
        let budget = LogBudget(overlayBytes: 100 << 20, logBytes: 40 * segment)
        let store = try await bench.open(budget)
        for key in 0..<50 as Range<UInt8> {
            try await store.write([row(key, 3 * LogFormat.blockBytes)])
            try await store.flush()
        }
        #expect(store.load.segments > 13)
        #expect(try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }.error == nil)
        #expect(budget.spareBytes == 10 * segment)
        #expect(bench.disk.names.count == 11, "those, and the one that is written to")
        // Another log finds no room.
        let account = LogAccount(budget: budget, member: budget.join {})
        #expect(!account.keepSpare(bytes: segment))
        budget.leave(account.member)
        try await store.close()
        #expect(budget.spareBytes == 0)
    }
}
