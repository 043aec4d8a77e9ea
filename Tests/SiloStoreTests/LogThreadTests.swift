import Glibc
import SiloStore
import TestSupport
import Testing

@Suite("The thread of a log", .timeLimit(.minutes(10))) struct LogThreadTests {
    private let done = Box<Int>()
    private let hold = Hold()

    private func give(_ numbers: ClosedRange<Int>, to thread: LogThread) {
        for number in numbers { thread.run { [done] in done.add(number) } }
    }

    /// Counts when the thread is gone.
    private func noteEnd(of thread: LogThread, in ended: Tally) {
        thread.run {
            var key = pthread_key_t()
            pthread_key_create(&key) { value in
                guard let value else { return }
                Unmanaged<Tally>.fromOpaque(value).takeRetainedValue().add()
            }
            pthread_setspecific(key, Unmanaged.passRetained(ended).toOpaque())
        }
    }

    @Test("pieces run one after another, in the order given, while who gives them goes on")
    func inOrder() async throws {
        let thread = try LogThread()
        try await hold.up { thread.run($0) }
        give(1...100, to: thread)
        #expect(done.count == 0, "the first is not over")
        hold.release()
        try await done.until(100)
        #expect(done.all == Array(1...100))
        thread.end()
    }

    @Test("who waits for a piece gets what it returned, or threw")
    func results() async throws {
        let thread = try LogThread()
        #expect(await thread.perform { 7 } == 7)
        let error = await #expect(throws: LogDiskError.self) {
            try await thread.perform { () throws(LogDiskError) in throw .noSpace("full") }
        }
        #expect(error == .noSpace("full"))
        #expect(await thread.perform { 8 } == 8, "it goes on after one that threw")
        thread.end()
    }

    @Test("ended while it is busy, it runs what it was given, and ends then")
    func endedWhileBusy() async throws {
        let thread = try LogThread()
        let ended = Tally()
        noteEnd(of: thread, in: ended)
        try await hold.up { thread.run($0) }
        give(1...3, to: thread)
        thread.end()
        #expect(ended.value == 0, "it has work still")
        hold.release()
        try await ended.until(1)
        #expect(done.all == [1, 2, 3])
    }

    @Test("an idle thread ends when it is told")
    func endedIdle() async throws {
        let thread = try LogThread()
        let ended = Tally()
        noteEnd(of: thread, in: ended)
        await thread.perform {}
        thread.end()
        try await ended.until(1)
    }

    @Test("what a piece gives is run too, though the thread was told to end before")
    func fromItself() async throws {
        let thread = try LogThread()
        let ended = Tally()
        noteEnd(of: thread, in: ended)
        try await hold.up { thread.run($0) }
        thread.run { [done] in
            thread.run { done.add(2) }
            done.add(1)
        }
        thread.end()
        hold.release()
        try await ended.until(1)
        #expect(done.all == [1, 2])
    }

    @Test("many may give pieces at once: each runs once, and never beside another")
    func manyCallers() async throws {
        let thread = try LogThread()
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
        #expect(await thread.perform { inside.count } == 800)
        thread.end()
    }
}
