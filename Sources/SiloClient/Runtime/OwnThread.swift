private import Glibc
import GRPC
import SiloCore

/// One thread that runs the pieces of tasks in their order and wakes those that sleep.
///
/// A client's polls, heartbeats and reports run here, and not on Swift's shared pool: handlers that compute hold every thread of
/// the pool, and what stops with them is then lost. `Task.sleep` is no help either, for its timers ring on the pool.
///
/// What runs here must not block. The thread lives as long as the process.
///
/// `@unchecked Sendable`: `jobs` and `alarms` are touched under `lock` only; `lock` and `signal` may be used from any thread.
final class OwnThread: TaskExecutor, @unchecked Sendable {
    /// Somebody who sleeps. Its fields belong to the thread's lock.
    final class Alarm {
        fileprivate let order: UInt64
        /// On `CLOCK_MONOTONIC`, nanoseconds.
        fileprivate let due: Int64
        fileprivate var sleeper: UnsafeContinuation<Void, any Error>?
        fileprivate var isCancelled = false

        fileprivate init(order: UInt64, due: Int64) {
            self.order = order
            self.due = due
        }

        fileprivate func isBefore(_ other: Alarm) -> Bool { (due, order) < (other.due, other.order) }
    }

    private let lock: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let signal: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    /// The next one last.
    private var alarms: [Alarm] = []
    private var lastOrder: UInt64 = 0

    /// - Parameter name: at most 15 bytes.
    init(_ name: String) {
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(signal, &attributes)
        pthread_condattr_destroy(&attributes)
        // Keeps this object for ever.
        NativeThread.start(name) { self.run() }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        withLock { jobs.append(job) }
        pthread_cond_signal(signal)
    }

    /// Returns after a while, or throws when the task is cancelled. The caller's task may run anywhere.
    func sleep(milliseconds: Int64) async throws {
        let (length, overflow) = max(0, milliseconds).multipliedReportingOverflow(by: 1_000_000)
        let (due, isFar) = Self.now.addingReportingOverflow(overflow ? .max : length)
        let alarm = Held(makeAlarm(due: isFar ? .max : due))
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { sleeper in
                if !add(alarm.value, sleeper) { sleeper.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            cancel(alarm.value)?.resume(throwing: CancellationError())
        }
    }

    // MARK: The thread

    private func run() {
        while true {
            let (due, ready) = take()
            for sleeper in due { sleeper.resume() }
            for job in ready { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }

    /// What can go on now, waiting for it.
    private func take() -> (due: [UnsafeContinuation<Void, any Error>], ready: [UnownedJob]) {
        withLock {
            while jobs.isEmpty, alarms.last.map({ $0.due > Self.now }) ?? true { wait() }
            var due: [UnsafeContinuation<Void, any Error>] = []
            let now = Self.now
            while let alarm = alarms.last, alarm.due <= now {
                alarms.removeLast()
                if let sleeper = alarm.sleeper { due.append(sleeper) }
                alarm.sleeper = nil
            }
            defer { jobs = [] }
            return (due, jobs)
        }
    }

    private func wait() {
        guard let due = alarms.last?.due else {
            pthread_cond_wait(signal, lock)
            return
        }
        var until = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
        pthread_cond_timedwait(signal, lock, &until)
    }

    // MARK: Alarms

    private func makeAlarm(due: Int64) -> Alarm {
        withLock {
            lastOrder += 1
            return Alarm(order: lastOrder, due: due)
        }
    }

    /// False when it was cancelled before.
    private func add(_ alarm: Alarm, _ sleeper: UnsafeContinuation<Void, any Error>) -> Bool {
        let isAdded = withLock {
            guard !alarm.isCancelled else { return false }
            alarm.sleeper = sleeper
            alarms.insert(alarm, at: place(of: alarm))
            return true
        }
        pthread_cond_signal(signal)
        return isAdded
    }

    private func cancel(_ alarm: Alarm) -> UnsafeContinuation<Void, any Error>? {
        withLock {
            alarm.isCancelled = true
            guard let sleeper = alarm.sleeper else { return nil }
            alarm.sleeper = nil
            alarms.remove(at: place(of: alarm))
            return sleeper
        }
    }

    /// Where it is, or belongs: behind all that are later.
    private func place(of alarm: Alarm) -> Int {
        var low = 0
        var high = alarms.count
        while low < high {
            let middle = (low + high) / 2
            if alarm.isBefore(alarms[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func withLock<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// `@unchecked Sendable`: the alarm's fields belong to the thread's lock.
    private struct Held: @unchecked Sendable {
        let value: Alarm
        init(_ value: Alarm) { self.value = value }
    }
}
