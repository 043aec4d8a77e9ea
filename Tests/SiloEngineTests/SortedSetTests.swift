import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct SortedSetTests {
    private func after(_ element: Int, in set: SortedSet<Int>, atMost count: Int = .max) -> [Int] {
        var found: [Int] = []
        set.forEach(after: element) { next in
            found.append(next)
            return found.count < count
        }
        return found
    }

    @Test("it holds what a sorted array holds, through growing and shrinking", arguments: [2, 3, 8, 256], [1, 2] as [UInt64])
    func model(pieceMax: Int, seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var set = SortedSet<Int>(pieceMax: pieceMax)
        var model: Set<Int> = []
        for step in 0..<6000 {
            let element = random.below(1500)
            let grows = step % 3000 < 1500
            if random.chance(grows ? 80 : 20) {
                set.insert(element)
                model.insert(element)
            } else {
                set.remove(element)
                model.remove(element)
            }
            #expect(set.count == model.count)
            guard step % 50 == 0 else { continue }
            let from = random.below(1600) - 50
            let expected = model.filter { $0 > from }.sorted()
            #expect(after(from, in: set) == expected)
            #expect(after(from, in: set, atMost: 3) == Array(expected.prefix(3)))
        }
        for element in model { set.remove(element) }
        #expect(set.count == 0)
        #expect(after(-1, in: set) == [])
    }
}
