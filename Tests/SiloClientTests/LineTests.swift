@testable import SiloClient
import SiloCore
import Testing

/// What goes in which call: decisions only, nothing is sent.
@Suite(.timeLimit(.minutes(10))) struct LineTests {
    private struct World {
        var line = Line<Int>()
        var number = 0
        var unwanted: Set<Int> = []
        let bounds = CallBounds(countMax: 3, bytesMax: 100)

        /// Items weigh what they are.
        mutating func next(at now: Int64 = 0) -> [Int]? {
            number += 1
            let isWanted: (Int) -> Bool = { [unwanted] in !unwanted.contains($0) }
            return line.next(number, at: Timestamp(now), within: bounds, weight: { $0 }, isWanted: isWanted)?.items
        }

        mutating func add(_ items: Int...) { for item in items { line.add(item) } }
    }

    @Test func oneThatComesAloneGoesAtOnceAndTheOthersTogetherAfterIt() {
        var world = World()
        world.add(1)
        #expect(world.next() == [1])
        world.add(2, 3)
        #expect(world.next() == nil)
        world.line.release(1)
        #expect(world.next() == [2, 3])
        // A call that ended before says so again: another holds the line now.
        world.line.release(1)
        world.add(4)
        #expect(world.next() == nil && !world.line.isIdle)
        world.line.release(3)
        #expect(world.next() == [4])
        world.line.release(5)
        #expect(world.next() == nil && world.line.isIdle)
    }

    @Test func aCallIsBoundedInItemsAndBytes() {
        var world = World()
        world.add(1, 2, 3, 4, 60, 50, 200, 1)
        var calls: [[Int]] = []
        while let call = world.next() {
            calls.append(call)
            world.line.release(world.number)
        }
        #expect(calls == [[1, 2, 3], [4, 60], [50], [200], [1]])
    }

    @Test func whatNobodyWaitsForIsLeftOut() {
        var world = World()
        world.add(1)
        _ = world.next()
        world.add(2, 3, 4)
        world.unwanted = [2, 4]
        world.line.release(1)
        #expect(world.next() == [3])
        world.add(4)
        world.line.release(2)
        #expect(world.next() == nil && world.line.isIdle)
    }

    @Test func aCallThatTakesLongLetsTheNextGoBesideIt() {
        var world = World()
        world.add(1)
        _ = world.next(at: 1000)
        let isWatchedAlone = world.line.beginWatch()
        #expect(!isWatchedAlone)
        world.add(2)
        let begins = world.line.beginWatch()
        let beginsTwice = world.line.beginWatch()
        #expect(begins && !beginsTwice)
        #expect(world.line.watch(at: Timestamp(1100), patience: 500) == Timestamp(1500))
        #expect(world.next(at: 1100) == nil)
        #expect(world.line.watch(at: Timestamp(1500), patience: 500) == Timestamp(2000))
        #expect(world.next(at: 1500) == [2])
        #expect(world.line.watch(at: Timestamp(2000), patience: 500) == nil)
    }

    @Test func partsKeepTheOrderAndLargeItemsGoAlone() {
        let megabyte = 1 << 20
        let bounds = Reporter.bounds
        #expect(bounds.count(of: [megabyte, megabyte, 100 * megabyte, megabyte]) == 2)
        #expect(bounds.count(of: [100 * megabyte, megabyte]) == 1)
        #expect(bounds.count(of: [Int](repeating: megabyte, count: 20)) == 8)
        #expect(bounds.count(of: [Int](repeating: 1, count: 1000)) == 256)
        #expect(bounds.count(of: []) == 0)
        let parts = CallBounds(countMax: 2, bytesMax: 10).parts(of: [1, 2, 3, 9, 11, 1]) { $0 }
        #expect(parts.map(Array.init) == [[1, 2], [3], [9], [11], [1]])
    }
}
