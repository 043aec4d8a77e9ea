import Dispatch
import Foundation
import Glibc
import Synchronization
import Testing

@testable import SiloCore

/// Tasks of a `PromptExecutor` run on the thread that wakes them, as long as that has nothing better to do.
@Suite(.timeLimit(.minutes(10)))
struct LentThreadTests {
    private let executor = PromptExecutor()
    private let time = Time()

    @Test("a task runs on the lent thread that wakes it")
    func runsWhereItIsWoken() async {
        let isSo = await onThread { lent in
            let found = Found()
            lent.lend { note(found) }
            return found.value == here()
        }
        #expect(isSo)
    }

    @Test("what such a task wakes runs there too")
    func chains() async {
        let isSo = await onThread { [executor] lent in
            let (first, second) = (Found(), Found())
            lent.lend {
                // Ends at once.
                _ = Task(executorPreference: executor) {
                    first.set(here())
                    note(second)
                }
            }
            return first.value == here() && second.value == here()
        }
        #expect(isSo)
    }

    @Test("once one has taken long, what else was woken goes elsewhere")
    func isOverInTime() async {
        let isSo = await onThread { [executor, time] lent in
            let (first, second, third) = (Found(), Found(), Found())
            lent.lend {
                // Ends at once.
                _ = Task(executorPreference: executor) {
                    first.set(here())
                    time.pass(milliseconds: 1)
                }
                note(second)
            }
            lent.lend { note(third) }
            return first.value == here() && second.value != here() && third.value == here()
        }
        #expect(isSo)
    }

    @Test("its rest counts from when it went back to its own work")
    func restsAfterwards() async {
        let isSo = await onThread(after: .milliseconds(5)) { [executor, time] lent in
            let (first, second, third) = (Found(), Found(), Found())
            lent.lend {
                // Ends at once.
                _ = Task(executorPreference: executor) {
                    first.set(here())
                    time.pass(milliseconds: 7)
                }
            }
            lent.lend { note(second) }
            time.pass(milliseconds: 5)
            lent.lend { note(third) }
            return first.value == here() && second.value != here() && third.value == here()
        }
        #expect(isSo)
    }

    @Test("a thread that is in a hurry gives away what it has woken, and wakes")
    func hurries() async {
        let isSo = await onThread { lent in
            let (first, second, third) = (Found(), Found(), Found())
            lent.lend {
                note(first)
                LentThread.hurry()
                note(second)
                // Both are done while the thread is still at its own work.
                _ = (first.value, second.value)
            }
            lent.lend { note(third) }
            return first.value != here() && second.value != here() && third.value == here()
        }
        #expect(isSo)
    }

    @Test("a thread that wakes often is left alone")
    func rests() async {
        let isSo = await onThread(after: .milliseconds(1)) { lent in
            let (first, second) = (Found(), Found())
            lent.lend { note(first) }
            lent.lend { note(second) }
            return first.value == here() && second.value != here()
        }
        #expect(isSo)
    }

    @Test("a thread with more of its own work gives away what it has woken")
    func hurriesBack() async {
        let isSo = await onThread { lent in
            let found = Found()
            lent.lend({ false }) { note(found) }
            return found.value != here()
        }
        #expect(isSo)
    }

    @Test("a task that goes on and on leaves the thread")
    func isBounded() async {
        let isSo = await onThread { [executor, time] lent in
            let (found, own) = (Found(), here())
            lent.lend {
                // Ends when it has left.
                _ = Task(executorPreference: executor) {
                    while here() == own {
                        time.pass(milliseconds: 1)
                        await Task.yield()
                    }
                    found.set(here())
                }
            }
            return found.value != own
        }
        #expect(isSo)
    }

    @Test("a thread that is not lent any more takes nothing")
    func ends() async {
        let isSo = await onThread { lent in
            let found = Found()
            lent.end()
            lent.lend { note(found) }
            return found.value != here() && !LentThread.isCurrent
        }
        #expect(isSo)
    }

    @Test("a thread whose own was let go is an ordinary one")
    func isForgotten() async {
        let isSo = await withCheckedContinuation { continuation in
            Thread {
                var lent: LentThread? = LentThread(after: .zero)
                let wasLent = LentThread.isCurrent
                lent = nil
                continuation.resume(returning: wasLent && lent == nil && !LentThread.isCurrent)
            }.start()
        }
        #expect(isSo)
    }

    /// Starts a task that notes where it runs.
    private func note(_ found: Found) {
        // Ends at once.
        _ = Task(executorPreference: executor) { found.set(here()) }
    }

    /// Runs `body` on a new thread that is lent.
    private func onThread(
        after rest: Duration = .zero, _ body: @escaping @Sendable (LentThread) -> Bool
    ) async -> Bool {
        await withCheckedContinuation { continuation in
            Thread { [time] in
                let lent = LentThread(after: rest) { time.now }
                defer { lent.end() }
                continuation.resume(returning: body(lent))
            }.start()
        }
    }
}

/// Passes when it is told to.
private final class Time: Sendable {
    private let nanoseconds = Mutex(Int64(0))
    var now: Int64 { nanoseconds.withLock { $0 } }
    func pass(milliseconds: Int64) { nanoseconds.withLock { $0 += milliseconds * 1_000_000 } }
}

private func here() -> UInt { UInt(pthread_self()) }

/// Which thread a task ran on.
private final class Found: Sendable {
    private let thread = Mutex(UInt(0))
    private let signal = DispatchSemaphore(value: 0)

    func set(_ value: UInt) {
        thread.withLock { $0 = value }
        signal.signal()
    }

    /// Waits until it is set.
    var value: UInt {
        signal.wait()
        // For who asks again.
        signal.signal()
        return thread.withLock { $0 }
    }
}
