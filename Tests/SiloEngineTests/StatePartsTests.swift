import SiloCore
import SiloStore
import Testing

@testable import SiloEngine

private final class Thing: RowOwner, Forgettable {
    let name: Int
    var isDirty = false
    var isNotedIdle = false
    init(_ name: Int) { self.name = name }
}

@Suite(.timeLimit(.minutes(10))) struct IdleSweepTests {
    private let things = (0..<6).map { Thing($0) }

    private func sweep() -> IdleSweep<Thing> {
        var sweep = IdleSweep<Thing>()
        for thing in things { sweep.note(thing) }
        return sweep
    }

    @Test("those who were idle first are forgotten, down to the bound")
    func forgets() {
        var sweep = sweep()
        sweep.note(things[0])
        var forgotten: [Int] = []
        sweep.sweep(above: 4) { thing in
            forgotten.append(thing.name)
            return .forgotten
        }
        #expect(forgotten == [0, 1])
        #expect(things.map(\.isNotedIdle) == [false, false, true, true, true, true])
        sweep.sweep(above: 4) { _ in
            Issue.record("there are no more than four")
            return .forgotten
        }
    }

    @Test("who is busy is dropped until it is idle again, who cannot be forgotten yet is looked at later, once a sweep")
    func looks() {
        var sweep = sweep()
        var looked: [Int] = []
        sweep.sweep(above: 3) { thing in
            looked.append(thing.name)
            return thing.name == 1 ? .busy : .later
        }
        #expect(looked == [0, 1, 2])
        sweep.note(things[1])
        looked = []
        sweep.sweep(above: 0) { thing in
            looked.append(thing.name)
            return .forgotten
        }
        #expect(looked == [3, 4, 5, 0, 2, 1])
    }
}

@Suite(.timeLimit(.minutes(10))) struct DirtyRowsTests {
    @Test("each owner is written once, in the order in which they were marked, and may be marked again")
    func once() {
        let things = (0..<3).map { Thing($0) }
        var rows = DirtyRows<Thing>()
        for index in [2, 0, 2, 1, 0] { rows.mark(things[index]) }
        var written: [Int] = []
        rows.takeAll { written.append($0.name) }
        #expect(written == [2, 0, 1])
        #expect(things.allSatisfy { !$0.isDirty })
        rows.mark(things[0])
        rows.takeAll { written.append($0.name) }
        #expect(written == [2, 0, 1, 0])
    }
}

@Suite(.timeLimit(.minutes(10))) struct GroupNewsTests {
    @Test("a group whose workers were cut short is looked at again, with those where work came")
    func lookedAtAgain() {
        var news = GroupNews()
        news.workCame(for: WorkKind("a"))
        news.lookAgain(for: WorkKind("b"))
        #expect(news.unserved == [WorkKind("b")])
        #expect(news.takeReady() == [WorkKind("a"), WorkKind("b")])
        #expect(news.unserved == [])
        #expect(news.takeReady() == [])
        news.workChanged(for: "c")
        #expect(news.takeChanged() == ["c"])
        #expect(news.takeChanged() == [])
    }
}
