import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

private func queue(_ name: String, ready: UInt64 = 1000) -> Queue {
    let queue = Queue(Queue.ID(tenant: Tenant(name), group: "g"), counts: StorageV1.QueueCounts())
    queue.counts.ready = ready
    return queue
}

/// The turns as lists of names, from which whoever moves is taken away.
private struct NaiveTurns {
    let quantum: Int
    var fresh: [String] = []
    var freshNext: [String] = []
    var freshForward: [String] = []
    var forward: [String] = []
    var round: [String] = []
    var next: [String] = []
    var deficits: [String: Int] = [:]

    private var all: [String] { freshForward + fresh + freshNext + forward + round + next }

    mutating func activate(_ name: String) {
        guard !all.contains(name) else { return }
        deficits[name] = quantum
        freshNext.append(name)
    }

    mutating func resume(_ name: String) {
        guard !all.contains(name) else { return }
        deficits[name] = quantum
        next.append(name)
    }

    mutating func forget(_ name: String) {
        freshForward.removeAll { $0 == name }
        fresh.removeAll { $0 == name }
        freshNext.removeAll { $0 == name }
        forward.removeAll { $0 == name }
        round.removeAll { $0 == name }
        next.removeAll { $0 == name }
    }

    mutating func comeForward(_ name: String) {
        if fresh.contains(name) {
            forget(name)
            freshForward.append(name)
        } else if round.contains(name) {
            forget(name)
            forward.append(name)
        }
    }

    mutating func first(_ isServable: (String) -> Bool) -> String? {
        while true {
            if freshForward.isEmpty, fresh.isEmpty { (fresh, freshNext) = (freshNext, []) }
            guard let name = freshForward.first ?? fresh.first else { break }
            if isServable(name), deficits[name, default: 0] > 0 { return name }
            forget(name)
            settle(name)
        }
        while true {
            if forward.isEmpty, round.isEmpty { (round, next) = (next, []) }
            guard let name = forward.first ?? round.first else { return nil }
            if isServable(name), deficits[name, default: 0] > 0 { return name }
            forget(name)
            if isServable(name) { settle(name) }
        }
    }

    private mutating func settle(_ name: String) {
        deficits[name, default: 0] += quantum
        next.append(name)
    }
}

@Suite(.timeLimit(.minutes(10))) struct TurnTests {
    @Test("turns come as in a model of plain lists", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func model(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        let quantum = 1 + random.below(4)
        var group = ReadyGroup(quantum: quantum)
        var naive = NaiveTurns(quantum: quantum)
        var queues = (0..<(2 + random.below(200))).map { queue("\($0)", ready: 0) }
        // Now and then many leave at once, so that what they leave is cleared away.
        for step in 0..<8000 {
            let leaves = step % 2000 < 200
            let index = leaves ? step % queues.count : random.below(queues.count)
            let (chosen, name) = (queues[index], queues[index].id.tenant.name)
            switch leaves ? 24 : random.below(100) {
            case 0..<20:
                chosen.counts.ready += UInt64(1 + random.below(6))
                group.activate(chosen)
                naive.activate(name)
            case 20..<22:
                chosen.counts.ready += 1
                group.resume(chosen)
                naive.resume(name)
            case 22..<24:
                chosen.counts.ready = 0
            case 24..<26:
                group.forget(chosen)
                naive.forget(name)
                queues[index] = queue(name, ready: 0)
            case 26..<45:
                group.comeForward(chosen)
                naive.comeForward(name)
            default:
                let servable = Set(queues.filter(\.isServable).map(\.id.tenant.name))
                let next = group.next()
                #expect(next?.id.tenant.name == naive.first(servable.contains))
                next?.counts.ready -= 1
                next?.deficit -= 1
                if let next { naive.deficits[next.id.tenant.name, default: 0] -= 1 }
            }
        }
    }

    @Test("each queue has one turn a round, whoever comes forward", arguments: [1, 3])
    func rounds(quantum: Int) throws {
        let random = SeededRandom(seed: 7)
        var group = ReadyGroup(quantum: quantum)
        let queues = (0..<50).map { queue("\($0)") }
        for queue in queues { group.resume(queue) }
        for round in 1...10 {
            for _ in 0..<queues.count * quantum {
                let next = group.next()
                let queue = try #require(next)
                queue.counts.ready -= 1
                queue.deficit -= 1
                for _ in 0..<3 { group.comeForward(queues[random.below(queues.count)]) }
            }
            #expect(queues.allSatisfy { $0.counts.ready == 1000 - UInt64(round * quantum) }, "round \(round)")
        }
    }

    @Test("those who keep coming do not go before who came earlier, though their rows lie near")
    func newcomersInARow() throws {
        var group = ReadyGroup(quantum: 1)
        let waiting = queue("waiting")
        for first in [queue("first"), waiting] { group.activate(first) }
        for number in 0..<100 {
            let whose = group.next()
            let next = try #require(whose)
            if next === waiting { return }
            next.deficit -= 1
            let newcomer = queue("\(number)")
            group.activate(newcomer)
            group.comeForward(newcomer)
        }
        Issue.record("it never had its turn")
    }

    @Test("a newcomer goes before 100,000 queues that had work before the shard was opened, read ahead or not")
    func newcomer() {
        var group = ReadyGroup(quantum: 8)
        let queues = (0..<100_000).map { queue("\($0)") }
        for queue in queues { group.resume(queue) }
        for _ in 0..<20 { group.next()?.deficit -= 1 }
        for queue in queues.suffix(50) { group.comeForward(queue) }
        let newcomer = queue("new", ready: 1)
        group.activate(newcomer)
        #expect(group.next() === newcomer)
        newcomer.counts.ready = 0
        #expect(group.next() === queues[99_950], "then those who came forward")
    }
}
