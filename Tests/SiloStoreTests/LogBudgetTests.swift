import SiloCore
import SiloTesting
import TestSupport
import Testing

@testable import SiloStore

@Suite("The budget of all logs", .timeLimit(.minutes(10))) struct LogBudgetTests {
    @Test("the member that has most is asked, when what nobody was asked to move reaches half of the bound")
    func asks() {
        let budget = LogBudget(overlayBytes: 1000, logBytes: 1000)
        let asked = Box<Int>()
        let members = (0..<3).map { number in budget.join { asked.add(number) } }
        budget.change(members[0], overlayBytes: 200)
        budget.change(members[1], overlayBytes: 299)
        #expect(asked.all == [])
        budget.change(members[2], logBytes: 100)
        budget.change(members[0], overlayBytes: 1)
        #expect(asked.all == [1])
        // It is on its way; the others have less than half.
        budget.beginLeaving(members[1])
        budget.change(members[0], overlayBytes: 298)
        #expect(asked.all == [1])
        budget.change(members[0], overlayBytes: 1)
        #expect(asked.all == [1, 0])
        // What came meanwhile stays, and what did not get below too.
        budget.change(members[1], overlayBytes: 250)
        budget.endLeaving(members[1])
        #expect(asked.all == [1, 0, 1])
        budget.leave(members[1])
        budget.leave(members[0])
        budget.change(members[2], logBytes: 399)
        #expect(asked.all == [1, 0, 1])
        budget.change(members[2], logBytes: 1)
        #expect(asked.all == [1, 0, 1, 2])
        #expect(!budget.isFull)
    }

    @Test("of members that have the same the first is asked")
    func ties() {
        for _ in 0..<20 {
            let budget = LogBudget(overlayBytes: 1000, logBytes: 1000)
            let asked = Box<Int>()
            let members = (0..<8).map { number in budget.join { asked.add(number) } }
            for member in members { budget.change(member, overlayBytes: 63) }
            #expect(asked.all == [0])
        }
    }

    @Test("steps are told apart by member, and those of all never go back")
    func steps() {
        let budget = LogBudget()
        let (first, second) = (budget.join {}, budget.join {})
        budget.step(first)
        budget.step(first)
        budget.step(second)
        #expect(budget.steps == 3 && budget.steps(of: first) == 2 && budget.steps(of: second) == 1)
        budget.leave(first)
        #expect(budget.steps == 3 && budget.steps(of: first) == 0)
    }
}
