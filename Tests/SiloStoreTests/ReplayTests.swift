import SiloCore
import SiloTesting
import SlateDB
import TestSupport
import Testing

@testable import SiloStore

@Suite("What a log brings back", .timeLimit(.minutes(10))) struct ReplayTests {
    private let bench = LogBench()

    private func delete(_ key: UInt8) -> Write { Write(key: [1, key], value: nil) }

    private func movedKeys(since count: Int) -> Set<Bytes> {
        Set(bench.moved.all[count...].map(\.key)).subtracting([LogPosition.key])
    }

    @Test("what was new and deleted before a crash does not get below after it, not even as a deletion")
    func newAndDeleted() async throws {
        let store = try await bench.open()
        try await store.write([row(1, isNew: true), row(2, isNew: true), row(3)])
        try await store.write([delete(1), delete(3)])
        try await store.flush()
        bench.crash()
        let next = try await bench.open()
        // Known as new across the crash too.
        try await next.write([delete(2)])
        let seen = bench.moved.count
        #expect(try await bench.outcome { () throws(StoreError) in try await next.checkpoint() }.error == nil)
        #expect(movedKeys(since: seen) == [[1, 3]])
        #expect(next.load.overlayBytes == 0)
    }

    @Test("what a checkpoint had begun to move counts as there, so its deletion gets below")
    func crashInACheckpoint() async throws {
        let store = try await bench.open { $0.settings.checkpointRowsMax = 1 }
        try await store.write([row(1, isNew: true)])
        let memory = bench.below
        // The row gets below and is durable there; what says that all of it is does not.
        memory.set { $0.failFlushes = true }
        _ = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        memory.set { $0.failFlushes = false }
        try await memory.flush()
        try await memory.write([LogPosition(logID: store.log.id, sequence: 0, begun: 1, isWhole: false).write])
        try await memory.flush()
        try await store.write([delete(1)])
        try await store.flush()
        bench.crash()
        #expect(try await bench.below.get([1, 1]) == [1])
        let next = try await bench.open()
        #expect(try await next.get([1, 1]) == nil)
        #expect(try await bench.outcome { () throws(StoreError) in try await next.checkpoint() }.error == nil)
        #expect(try await bench.below.get([1, 1]) == nil, "it does not come back")
    }

    @Test("a replay takes up no more memory than there may be: the rest goes below while it is read")
    func boundedReplay() async throws {
        let large = try await bench.open()
        for key in 0..<60 as Range<UInt8> { try await large.write([row(key, 10_000)]) }
        try await large.flush()
        #expect(large.load.overlayBytes > 600_000)
        bench.crash()
        let budget = LogBudget(overlayBytes: 100_000)
        let small = try await bench.open(budget)
        #expect(small.load.overlayBytes < 120_000)
        #expect(bench.moved.all.contains { $0.key == [1, 0] })
        for key in 0..<60 as Range<UInt8> { #expect(try await small.get([1, key]) == Bytes(repeating: key, count: 10_000)) }
        // Killed again at once, nothing is lost, nor moved twice to another end.
        bench.crash()
        let again = try await bench.open(budget)
        for key in 0..<60 as Range<UInt8> { #expect(try await again.get([1, key])?.count == 10_000) }
        try await again.close()
    }

    @Test("one that does not fit, with a clock that keeps it from going below, says so")
    func boundedReplayBehind() async throws {
        let large = try await bench.open()
        for key in 0..<60 as Range<UInt8> { try await large.write([row(key, 10_000)]) }
        try await large.flush()
        bench.crash()
        let lag = ClockLag(lastWrite: 3_600_000, now: 0)
        bench.below.set { $0.lag = lag }
        await #expect(throws: StoreError.behind(lag)) {
            try await bench.open(LogBudget(overlayBytes: 100_000)) { $0.settings.overdraftBytesMax = 100_000 }
        }
        // As much as could be written while nothing went below is taken in.
        _ = bench.reopenBelow()
        bench.below.set { $0.lag = lag }
        let store = try await bench.open(LogBudget(overlayBytes: 100_000)) { $0.settings.overdraftBytesMax = 600_000 }
        for key in 0..<60 as Range<UInt8> { #expect(try await store.get([1, key])?.count == 10_000) }
        bench.below.set { $0.lag = nil }
        try await store.close()
    }

    @Test("beside others that have filled memory a log is not moved below batch by batch", arguments: [false, true])
    func besideAFullBudget(isBehind: Bool) async throws {
        let before = try await bench.open()
        for key in 0..<60 as Range<UInt8> { try await before.write([row(key, 10_000)]) }
        try await before.flush()
        bench.crash()
        let budget = LogBudget(overlayBytes: 3_200_000)
        let other = LogAccount(budget: budget, member: budget.join {})
        other.change(overlayBytes: 3_200_000)
        // A sixteenth of it is 200,000.
        if isBehind { bench.below.set { $0.lag = ClockLag(lastWrite: 3_600_000, now: 0) } }
        let seen = bench.moved.count
        let store = try await bench.open(budget)
        let moves = bench.moved.all[seen...].count { $0.key == LogPosition.key }
        #expect(isBehind ? moves == 0 : moves <= 8, "two a move, and each is worth a file")
        for key in 0..<60 as Range<UInt8> { #expect(try await store.get([1, key])?.count == 10_000) }
        other.change(overlayBytes: -3_200_000)
        bench.below.set { $0.lag = nil }
        try await store.close()
    }

    @Test("a crash after the data was marked as whole, with any part of the log left, opens by itself", arguments: 0...12)
    func crashBeforeTheLogIsRemoved(steps: Int) async throws {
        let store = try await bench.open()
        for key in 0..<30 as Range<UInt8> { try await store.write([row(key, 10_000)]) }
        try await store.flush()
        let armed = Tally()
        bench.below.set { [bench] faults in
            // The last thing that is written below.
            faults.mangle = { write in
                if write.key == LogPosition.key, write.value.flatMap(LogPosition.init)?.isWhole == true {
                    bench.disk.crash(afterSteps: 1 + steps)
                    armed.add()
                }
                return write
            }
        }
        _ = try await bench.outcome { () throws(StoreError) in try await store.close() }
        #expect(armed.value == 1)
        bench.disk.crash(losesPower: steps % 2 == 0)
        _ = bench.reopenBelow()
        // Elsewhere it may have been opened with another log, and closed there, since the data was whole.
        if let bytes = try await bench.below.get(LogPosition.key), let position = LogPosition(bytes), steps % 3 == 0 {
            #expect(position.isWhole)
            let other = LogPosition(logID: 99, sequence: position.sequence + 5, isWhole: true, after: position.logID)
            try await bench.below.write([other.write])
            try await bench.below.flush()
        }
        let next = try await bench.open()
        for key in 0..<30 as Range<UInt8> { #expect(try await next.get([1, key])?.count == 10_000) }
        try await next.close()
    }
}
