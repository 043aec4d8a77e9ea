import SiloCore
import SiloEngine
import SiloTesting
import Testing

@testable import SiloServer

@Suite(.timeLimit(.minutes(10))) struct CheckCoalescerTests {
    typealias Coalescer = CheckCoalescer<Int>

    private func pairs(_ answers: Coalescer.Answers) -> [Int: RateAnswer] {
        Dictionary(uniqueKeysWithValues: answers.map { ($0.waiter, $0.answer) })
    }

    @Test func theFirstCheckOpensAWindowAndTheOthersJoinIt() {
        var coalescer = Coalescer(batchMax: 100)
        #expect(coalescer.add(.of("a"), for: 1) == .openWindow(1))
        #expect(coalescer.add(.of("b"), for: 2) == .gather)
        #expect(coalescer.windowEnded(1) == .init(number: 1, checks: [.of("a"), .of("b")]))
        #expect(coalescer.add(.of("c"), for: 3) == .openWindow(2), "what comes later waits for no answer")
    }

    @Test func aFullBatchGoesBeforeItsTime() {
        var coalescer = Coalescer(batchMax: 2)
        #expect(coalescer.add(.of("a"), for: 1) == .openWindow(1))
        #expect(coalescer.add(.of("b"), for: 2) == .send(.init(number: 1, checks: [.of("a"), .of("b")])))
        #expect(coalescer.windowEnded(1) == nil, "the window's time ends a batch that is gone")
        #expect(coalescer.add(.of("c"), for: 3) == .openWindow(2))
        #expect(coalescer.windowEnded(1) == nil, "and not the one after it")
        #expect(coalescer.windowEnded(2) == .init(number: 2, checks: [.of("c")]))
    }

    @Test func batchesOfOneNeedNoWindow() {
        var coalescer = Coalescer(batchMax: 1)
        #expect(coalescer.add(.of("a"), for: 1) == .send(.init(number: 1, checks: [.of("a")])))
        #expect(coalescer.add(.of("b"), for: 2) == .send(.init(number: 2, checks: [.of("b")])))
    }

    @Test func answersAreMatchedByPositionWhateverTheOrderOfTheBatches() {
        var coalescer = Coalescer(batchMax: 2)
        for waiter in 1...4 { _ = coalescer.add(.of("\(waiter)"), for: waiter) }
        #expect(coalescer.waiting == 4)
        #expect(pairs(coalescer.answered(2, [.under, .over(resetAt: nil)])) == [3: .under, 4: .over(resetAt: nil)])
        #expect(
            pairs(coalescer.answered(1, [.over(resetAt: Timestamp(5)), .under])) == [1: .over(resetAt: Timestamp(5)), 2: .under])
        #expect(coalescer.waiting == 0)
    }

    @Test func aShortAnswerFailsThoseThatItLeavesOut() {
        var coalescer = Coalescer(batchMax: 3)
        for waiter in 1...3 { _ = coalescer.add(.of("\(waiter)"), for: waiter) }
        let missing = RateAnswer.failed("gubernator left this check unanswered")
        #expect(pairs(coalescer.answered(1, [.under])) == [1: .under, 2: missing, 3: missing])
    }

    @Test func aLongAnswerIsReadAsFarAsItWasAskedFor() {
        var coalescer = Coalescer(batchMax: 1)
        _ = coalescer.add(.of("a"), for: 1)
        #expect(pairs(coalescer.answered(1, [.under, .over(resetAt: nil)])) == [1: .under])
    }

    @Test func aFailedBatchFailsItsOwnOnly() {
        var coalescer = Coalescer(batchMax: 2)
        for waiter in 1...3 { _ = coalescer.add(.of("\(waiter)"), for: waiter) }
        #expect(pairs(coalescer.failed(1, "down")) == [1: .failed("down"), 2: .failed("down")])
        #expect(coalescer.waiting == 1)
        #expect(coalescer.windowEnded(2)?.checks == [.of("3")])
    }

    @Test func aSecondAnswerToABatchIsNobodys() {
        var coalescer = Coalescer(batchMax: 1)
        _ = coalescer.add(.of("a"), for: 1)
        #expect(coalescer.answered(1, [.under]).count == 1)
        #expect(coalescer.answered(1, [.under]).isEmpty)
        #expect(coalescer.failed(1, "late").isEmpty)
        #expect(coalescer.answered(99, [.under]).isEmpty)
        #expect(coalescer.waiting == 0)
    }

    @Test func pastTheBoundChecksAreRefusedUntilSomeAreAnswered() {
        var coalescer = Coalescer(batchMax: 100)
        for waiter in 0..<Coalescer.waitingMax { _ = coalescer.add(.of("a"), for: waiter) }
        let refusal = Coalescer.Action.refuse("10000 rate checks wait already")
        #expect(coalescer.add(.of("a"), for: -1) == refusal)
        #expect(coalescer.waiting == Coalescer.waitingMax)
        #expect(coalescer.failed(1, "down").count == 100)
        #expect(coalescer.add(.of("a"), for: -2) == .openWindow(101))
        #expect(!coalescer.answered(2, []).contains { $0.waiter < 0 })
    }

    @Test func closingGivesBackEverybodyWhoWaits() {
        var coalescer = Coalescer(batchMax: 2)
        for waiter in 1...5 { _ = coalescer.add(.of("\(waiter)"), for: waiter) }
        _ = coalescer.answered(1, [.under, .under])
        #expect(coalescer.close() == [3, 4, 5])
        #expect(coalescer.close() == [])
        #expect(coalescer.answered(2, [.under, .under]).isEmpty)
        #expect(coalescer.windowEnded(3) == nil)
        #expect(coalescer.add(.of("late"), for: 6) == .refuse("the rate limiter is closed"))
        #expect(coalescer.waiting == 0)
    }

    @Test func aLargeCheckGoesAloneAndLeavesTheWindowBe() {
        var coalescer = Coalescer(batchMax: 100)
        let large = RateCheck.of(String(repeating: "k", count: Coalescer.largeCheckBytes))
        #expect(coalescer.add(.of("a"), for: 1) == .openWindow(1))
        #expect(coalescer.add(large, for: 2) == .send(.init(number: 2, checks: [large])))
        #expect(coalescer.add(.of("b"), for: 3) == .gather)
        #expect(coalescer.windowEnded(1)?.checks == [.of("a"), .of("b")])
        #expect(pairs(coalescer.failed(2, "too large")) == [2: .failed("too large")])
    }

    @Test func aBatchIsBoundedInBytes() {
        var coalescer = Coalescer(batchMax: 1000)
        let key = String(repeating: "k", count: Coalescer.largeCheckBytes - 10)
        var batches: [Coalescer.Batch] = []
        for waiter in 0..<100 {
            if case .send(let batch) = coalescer.add(.of(key), for: waiter) { batches.append(batch) }
        }
        #expect(batches.map(\.checks.count) == [33, 33, 33])
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func everyWaiterIsGivenBackOnce(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        func chance(_ bound: UInt64) -> Int { Int(random.next() % bound) }
        var coalescer = Coalescer(batchMax: 1 + chance(7))
        var open: [Int] = []
        var flying: [Coalescer.Batch] = []
        var taken: [Int] = []
        var given: [Int] = []
        for waiter in 0..<2000 {
            switch coalescer.add(.of("\(waiter)"), for: waiter) {
            case .gather: taken.append(waiter)
            case .openWindow(let number):
                open.append(number)
                taken.append(waiter)
            case .send(let batch):
                flying.append(batch)
                taken.append(waiter)
            case .refuse: break
            }
            if chance(4) == 0, !open.isEmpty, let batch = coalescer.windowEnded(open.remove(at: chance(UInt64(open.count)))) {
                flying.append(batch)
            }
            if chance(3) == 0, !flying.isEmpty {
                let batch = flying.remove(at: chance(UInt64(flying.count)))
                let answers =
                    chance(2) == 0
                    ? coalescer.failed(batch.number, "down")
                    : coalescer.answered(batch.number, batch.checks.prefix(chance(8)).map { .failed($0.uniqueKey) })
                for (waiter, answer) in answers {
                    given.append(waiter)
                    if case .failed(let text) = answer, Int(text) != nil {
                        #expect(text == "\(waiter)", "an answer of another check")
                    }
                }
            }
            #expect(coalescer.waiting == taken.count - given.count)
        }
        given += coalescer.close()
        #expect(given.sorted() == taken)
    }
}
