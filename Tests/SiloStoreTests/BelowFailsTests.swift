import SiloCore
import SiloTesting
import SlateDB
import TestSupport
import Testing

@testable import SiloStore

@Suite("The store below a log fails", .timeLimit(.minutes(10))) struct BelowFailsTests {
    private let bench = LogBench()

    @Test("while it does not answer, the checkpoint alone waits, and is repeated when it does")
    func awayForAWhile() async throws {
        let store = try await bench.open()
        try await store.write([row(1)])
        bench.below.set { $0.failFlushes = true }
        let refusal = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        #expect(refusal.error == .unavailable("injected fault"), "who asked is told")
        try await bench.events.until { $0.contains { $0.hasPrefix("belowFails") } }
        for key in 2...20 as ClosedRange<UInt8> {
            try await store.write([row(key)])
            try await store.flush()
            #expect(try await store.get([1, key]) == [key])
        }
        #expect(store.refusal == nil)
        bench.below.set { $0.failFlushes = false }
        try await bench.pass(until: "the checkpoint to be repeated") { [bench] in bench.happened("belowAnswers") }
        #expect(bench.count("belowFails") == 1, "said once")
        let again = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        #expect(again.error == nil)
        #expect(store.load.overlayBytes == 0)
        #expect(try await bench.below.get([1, 20]) == [20])
        try await store.close()
    }

    @Test("the bound holds meanwhile: when memory is full changes are refused, with the reason, and reads go on")
    func bound() async throws {
        let store = try await bench.open(LogBudget(overlayBytes: 20_000))
        bench.below.set { $0.failWrites = true }
        _ = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        try await store.write([row(1, 30_000)])
        #expect(store.refusal == nil, "there was room when it came")
        try await store.write([row(2)])
        guard case .full(let text) = store.refusal else {
            Issue.record("it is not refused: \(String(describing: store.refusal))")
            return
        }
        #expect(text.contains("cannot be moved to sorted files") && text.contains("injected fault"))
        #expect(try await store.get([1, 2]) == [2], "who was in the middle of a change could write it")
        bench.below.set { $0.failWrites = false }
        try await bench.pass(until: "changes to be taken") { store.refusal == nil }
        #expect(bench.happened("noRoom") && bench.happened("roomAgain"))
        try await store.close()
    }

    @Test("who goes on writing all the same comes to an end")
    func overdraft() async throws {
        let store = try await bench.open(LogBudget(overlayBytes: 20_000)) { $0.settings.overdraftBytesMax = 50_000 }
        bench.below.set { $0.failWrites = true }
        _ = try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }
        var failure: StoreError?
        for key in 0..<20 as Range<UInt8> where failure == nil {
            do throws(StoreError) { try await store.write([row(key, 10_000)]) } catch { failure = error }
        }
        guard case .full = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(store.load.overlayBytes < 100_000)
    }

    @Test("one that has closed itself is opened anew, reads wait for it, and all is moved once more")
    func closedItself() async throws {
        let store = try await bench.open { [bench] place in place.reopen = { bench.reopenBelow() } }
        try await store.write([row(1)])
        #expect(try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }.error == nil)
        try await store.write([row(2)])
        bench.below.set { $0.isClosed = true }
        let found = Box<Bytes?>(changes: bench.changes)
        let read = try await bench.outcome { () throws(StoreError) in found.add(try await store.get([1, 1])) }
        #expect(read.error == nil && found.all == [[1]])
        #expect(bench.openingCount == 1)
        #expect(try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }.error == nil)
        #expect(try await bench.below.get([1, 2]) == [2])
        #expect(store.below.isOpen && store.refusal == nil)
        try await store.close()
    }

    @Test("one that stays away is waited for once, not by each read; and the store goes on")
    func staysAway() async throws {
        let store = try await bench.open { [bench] place in
            place.reopen = { () throws(StoreError) in
                if bench.isAway { throw .unavailable("away") }
                return bench.reopenBelow()
            }
        }
        try await store.write([row(1)])
        #expect(try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }.error == nil)
        bench.setAway(true)
        bench.below.set { $0.isClosed = true }
        let begun = bench.clock.steady
        #expect(try await bench.outcome { () throws(StoreError) in _ = try await store.get([1, 1]) }.error != nil)
        #expect(bench.clock.steady - begun >= 10_000)
        // Time stands still.
        for _ in 0..<20 { await #expect(throws: StoreError.self) { try await store.get([1, 1]) } }
        #expect(store.isOpen && store.refusal == nil)
        try await store.write([row(2)])
        try await store.flush()
        #expect(try await store.get([1, 2]) == [2])
        // Long pauses have come by now. Who reads cuts them short.
        for _ in 0..<60 {
            bench.clock.advance(milliseconds: 1000)
            try await bench.changes.wait { !bench.clock.sleepers.isEmpty }
        }
        bench.setAway(false)
        let again = bench.clock.steady
        let found = Box<Bytes?>(changes: bench.changes)
        try await bench.pass(until: "a read") {
            // Ends with the test.
            Task { if let value = try? await store.get([1, 1]) { found.add(value) } }
            return found.count > 0
        }
        #expect(found.all.first == [1])
        #expect(bench.clock.steady - again <= 5000)
        try await store.close()
    }

    @Test("before it is opened anew it is looked at, so that another owner is not put out")
    func lookedAtFirst() async throws {
        let other = LogPosition(logID: 99, sequence: 7, isWhole: false)
        let store = try await bench.open { [bench] place in
            place.reopen = { bench.reopenBelow() }
            place.look = { other }
        }
        try await store.write([row(1)])
        bench.below.set { $0.isClosed = true }
        let asked = try await bench.outcome { () throws(StoreError) in
            // The first who asks hears that it is opened anew.
            do throws(StoreError) { try await store.checkpoint() } catch { try await store.checkpoint() }
        }
        #expect(asked.error != nil)
        try await bench.pass(until: "the end") { !store.isOpen }
        #expect(try await bench.outcome { () throws(StoreError) in try await store.flush() }.error
            == .fenced("the data below its log was written by another"))
        #expect(bench.openingCount == 0)
    }

    @Test("damage there, or another owner, ends the store", arguments: [StoreError.fenced("taken"), .corrupt("broken")])
    func ends(error: StoreError) async throws {
        let store = try await bench.open()
        try await store.write([row(1)])
        bench.below.set { ($0.failWrites, $0.error) = (true, error) }
        #expect(try await bench.outcome { () throws(StoreError) in try await store.checkpoint() }.error == error)
        #expect(try await bench.outcome { () throws(StoreError) in try await store.write([row(2)]) }.error == error)
        #expect(try await bench.outcome { () throws(StoreError) in try await store.flush() }.error == error)
    }

    // MARK: The clock

    private let lag = ClockLag(lastWrite: 3_600_000, now: 0)

    @Test("with a clock that is behind a store opens, after a clean end too, and only the checkpoint waits")
    func behindAfterACleanEnd() async throws {
        let first = try await bench.open()
        try await first.write([row(1)])
        try await first.close()
        _ = bench.reopenBelow()
        bench.below.set { [lag] in $0.lag = lag }
        let second = try await bench.open()
        try await second.write([row(2)])
        try await second.flush()
        #expect(try await second.get([1, 1]) == [1])
        #expect(second.refusal == nil && second.clockLag == nil)
        let asked = try await bench.outcome { () throws(StoreError) in try await second.checkpoint() }
        #expect(asked.error == .behind(lag))
        try await bench.events.until { $0.contains { $0.hasPrefix("clockBehind") } }
        // A crash: the log alone has the row, and the data says still that it is whole.
        bench.crash()
        bench.below.set { [lag] in $0.lag = lag }
        let third = try await bench.open()
        #expect(try await third.get([1, 2]) == [2])
        let (seen, before) = (bench.moved.count, bench.count("checkpointed"))
        bench.below.set { $0.lag = nil }
        try await bench.pass(until: "the checkpoint") { [bench] in bench.count("checkpointed") > before }
        let marks = bench.moved.all[seen...].filter { $0.key == LogPosition.key }
        let positions = marks.compactMap { $0.value.flatMap(LogPosition.init) }
        #expect(positions.first?.isWhole == false, "before any row is there, the data says that it is not whole")
        #expect(bench.moved.all[seen].key == LogPosition.key)
        try await third.close()
    }

    @Test("whoever waits for a checkpoint when the clock falls behind is told so, and what to do")
    func fallsBehind() async throws {
        let store = try await bench.open()
        try await store.write([row(1)])
        bench.below.set { $0.holdWrites = true }
        let answers = Box<StoreError?>(changes: bench.changes)
        // Ends with the test.
        Task {
            do throws(StoreError) {
                try await store.checkpoint()
                answers.add(nil)
            } catch {
                answers.add(error)
            }
        }
        try await bench.changes.wait { bench.below.heldCount > 0 }
        bench.below.set { [lag] in ($0.holdWrites, $0.lag) = (false, lag) }
        try await bench.pass(until: "an answer") { answers.count > 0 }
        #expect(answers.all == [.behind(lag)])
        #expect(lag.description.contains("set it right, or wait"))
        bench.below.set { $0.lag = nil }
        try await bench.pass(until: "the checkpoint") { [bench] in bench.happened("checkpointed") }
        try await store.close()
    }

    // MARK: Closing

    @Test("that others get on is no sign that this one does: closing ends all the same")
    func closedBesideOthers() async throws {
        let budget = LogBudget()
        let other = LogAccount(budget: budget, member: budget.join {})
        let store = try await bench.open(budget) { $0.hasSpace = { false } }
        try await store.write([row(1)])
        bench.below.set { $0.holdFlushes = true }
        let begun = bench.clock.steady
        let ended = Box<StoreError?>(changes: bench.changes)
        // Ends with the store.
        Task {
            do throws(StoreError) {
                try await store.close()
                ended.add(nil)
            } catch {
                ended.add(error)
            }
        }
        try await bench.pass(until: "the end") { [clock = bench.clock] in
            other.step()
            return ended.count > 0 || clock.steady - begun > 100_000
        }
        #expect(ended.all.count == 1 && bench.clock.steady - begun < 60_000)
        bench.below.set { $0.holdFlushes = false }
    }

    @Test("closed while a checkpoint stands still, it ends, with an error, and everybody who waits is told")
    func closedWhileStalled() async throws {
        let store = try await bench.open { $0.hasSpace = { false } }
        try await store.write([row(1)])
        try await store.flush()
        bench.below.set { $0.holdFlushes = true }
        let checkpoint = Box<StoreError?>(changes: bench.changes)
        // Ends with the store.
        Task {
            do throws(StoreError) {
                try await store.checkpoint()
                checkpoint.add(nil)
            } catch {
                checkpoint.add(error)
            }
        }
        try await bench.changes.wait { bench.below.heldCount > 0 }
        let begun = bench.clock.steady
        let closed = try await bench.outcome { () throws(StoreError) in try await store.close() }
        #expect(closed.error != nil, "not all is below")
        #expect(bench.clock.steady - begun >= 10_000)
        #expect(try await bench.outcome { () throws(StoreError) in try await store.flush() }.error != nil)
        #expect(!bench.disk.names.isEmpty, "the log stays")
        try await checkpoint.until(1)
        #expect(checkpoint.all[0] != nil)
        // What stood still goes on at last, and changes nothing.
        bench.below.set { $0.holdFlushes = false }
        bench.crash()
        let next = try await bench.open()
        #expect(try await next.get([1, 1]) == [1])
        try await next.close()
    }
}
