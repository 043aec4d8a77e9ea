import Dispatch
import Foundation
import Glibc
import SiloCore
import Synchronization
import Testing

/// Tasks of a `PromptExecutor` run on the thread that wakes them, as long as that has nothing better to do.
@Suite(.timeLimit(.minutes(10)))
struct LentThreadTests {
    private let executor = PromptExecutor()

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
            let found = Found()
            // Ends at once.
            lent.lend { _ = Task(executorPreference: executor) { note(found) } }
            return found.value == here()
        }
        #expect(isSo)
    }

    @Test("a thread that wakes often is left alone")
    func rests() async {
        let isSo = await onThread(after: .seconds(3600)) { lent in
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
        let isSo = await onThread { [executor] lent in
            let (found, own) = (Found(), here())
            lent.lend {
                // Ends when it has left.
                _ = Task(executorPreference: executor) {
                    while here() == own { await Task.yield() }
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
            Thread {
                let lent = LentThread(after: rest)
                defer { lent.end() }
                continuation.resume(returning: body(lent))
            }.start()
        }
    }
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
        return thread.withLock { $0 }
    }
}
