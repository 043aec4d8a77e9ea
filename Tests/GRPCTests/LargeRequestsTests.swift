import TestSupport
import Testing

@testable import GRPC

@Suite("The thread for calls with large requests", .timeLimit(.minutes(10))) struct LargeRequestsTests {
    private let ended = Tally()
    private let done = Box<Int>()
    private let hold = Hold()

    private func thread() -> LargeRequests {
        LargeRequests { [ended] in ended.add() }
    }

    private func give(_ numbers: ClosedRange<Int>, to thread: LargeRequests) {
        for number in numbers { thread.run { [done] in done.add(number) } }
    }

    @Test("handlers run one after another, in the order in which they came, while who brings them goes on")
    func inOrder() async throws {
        let thread = thread()
        try await hold.up { thread.run($0) }
        give(1...100, to: thread)
        #expect(done.count == 0, "the first is not over")
        hold.release()
        try await done.until(100)
        #expect(done.all == Array(1...100))
        thread.close()
        try await ended.until(1)
    }

    @Test("what waits when it is closed is still done; what comes later is not")
    func closedWhileBusy() async throws {
        let thread = thread()
        try await hold.up { thread.run($0) }
        give(1...3, to: thread)
        thread.close()
        give(4...5, to: thread)
        #expect(ended.value == 0, "it has work still")
        hold.release()
        try await ended.until(1)
        #expect(done.all == [1, 2, 3])
        #expect(ended.value == 1)
    }

    @Test("a thread that nobody needed ends at once, and takes nothing afterwards")
    func closedUnused() {
        let thread = thread()
        thread.close()
        #expect(ended.value == 1)
        give(1...1, to: thread)
        #expect(done.count == 0)
        #expect(ended.value == 1)
    }

    @Test("a handler may bring another, and may close it: both are done")
    func fromItself() async throws {
        let thread = thread()
        thread.run { [done] in
            thread.run { done.add(2) }
            thread.close()
            thread.run { done.add(3) }
            done.add(1)
        }
        try await ended.until(1)
        #expect(done.all == [1, 2])
    }

    @Test("many threads may bring handlers at once: each runs once, and never beside another")
    func manyCallers() async throws {
        let thread = thread()
        // Only the thread touches it, so that a race shows under the thread sanitizer.
        final class Inside: @unchecked Sendable { var count = 0 }
        let inside = Inside()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<100 { thread.run { inside.count += 1 } }
                }
            }
        }
        thread.close()
        try await ended.until(1)
        #expect(inside.count == 800)
    }

    @Test("when it was closed and its work is done, nothing is left of it")
    func letsGo() async throws {
        final class Kept: Sendable {
            let gone: Tally
            init(_ gone: Tally) { self.gone = gone }
            deinit { gone.add() }
        }
        let gone = Tally()
        do {
            let kept = Kept(gone)
            let thread = LargeRequests { _ = kept }
            let kept2 = Kept(gone)
            thread.run { _ = kept2 }
            thread.close()
        }
        try await gone.until(2)
    }
}
