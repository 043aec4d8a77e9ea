import SiloCore
import Synchronization

/// Wakes a shard's loop when a date comes or a length of time has passed. Only the loop sets it.
final class LoopAlarm {
    private let clock: any Clock
    private let mailbox: Mailbox
    private let executor: (any TaskExecutor)?
    private var current: (bell: Bell, task: Task<Void, Never>)?

    /// Rings at a date or at a steady time. Whether it has rung is noted: the clocks do not tell, for the wall clock may have
    /// been set back since.
    private final class Bell: Sendable {
        let date: Timestamp
        let delay: Timestamp
        let hasRung = Atomic(false)
        init(_ date: Timestamp, _ delay: Timestamp) {
            self.date = date
            self.delay = delay
        }
    }

    init(clock: any Clock, mailbox: Mailbox, executor: (any TaskExecutor)?) {
        self.clock = clock
        self.mailbox = mailbox
        self.executor = executor
    }

    /// - Parameters:
    ///   - date: by the wall clock.
    ///   - delay: by steady time.
    func set(date: Timestamp, delay: Timestamp) {
        guard date != .distantFuture || delay != .distantFuture else { return }
        let now = clock.moment
        guard date > now.wall, delay > now.steady else { return mailbox.wake() }
        if let current {
            guard date < current.bell.date || delay < current.bell.delay || current.bell.hasRung.load(ordering: .acquiring) else {
                return
            }
            current.task.cancel()
        }
        let bell = Bell(date, delay)
        // Belongs to the loop, which cancels it when it ends; it only rings.
        let task = Task(on: executor) { [clock, mailbox] in
            do { try await clock.sleep(until: date, or: delay) } catch { return }
            bell.hasRung.store(true, ordering: .releasing)
            mailbox.wake()
        }
        current = (bell, task)
    }

    func cancel() {
        current?.task.cancel()
    }
}

extension Clock {
    /// Returns when the wall clock shows a date, or when a steady time has come; at once when that is past. It looks at the
    /// clocks now and then, for sleeps may be faster than they are, and the wall clock may be set to the date or past it.
    fileprivate func sleep(until date: Timestamp, or time: Timestamp) async throws {
        // No sleep is too long for the system.
        let most: Int64 = date == .distantFuture ? 3_600_000 : 1000
        while true {
            let now = moment
            guard date > now.wall, time > now.steady else { return }
            try await sleep(milliseconds: min(date - now.wall, time - now.steady, most))
        }
    }
}
