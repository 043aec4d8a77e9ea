private import Glibc

/// A thread that has work of its own, and runs what this wakes of a `PromptExecutor` itself, so that no other thread has to wake
/// up for it: at a light load that takes longer than the work.
///
/// Only the thread that made it may use it.
public final class LentThread {
    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    /// Whether the calling thread has work of its own to go back to.
    public static var isCurrent: Bool { current != nil }

    /// That of the calling thread; nil: it is not lent.
    static var current: LentThread? {
        guard let key, let thread = pthread_getspecific(key) else { return nil }
        return Unmanaged<LentThread>.fromOpaque(thread).takeUnretainedValue()
    }

    /// Nanoseconds for which it must have been at its own work, and woken nobody, before it takes something.
    private let rest: Int64
    private var lastUse = Int64.min / 2
    private let now: () -> Int64
    private var woken: [Woken] = []
    /// When it goes on with its own work, by the monotonic clock; nil: it has not been borrowed.
    private var borrowedUntil: Int64?
    private var isLent = false
    /// Nanoseconds after which whatever goes on goes elsewhere.
    private static let borrowedMax: Int64 = 500_000

    private struct Woken {
        let job: UnownedJob
        let executor: PromptExecutor
    }

    /// Makes the calling thread one that may be borrowed, until `end`.
    /// - Parameter rest: for so long it must have woken nobody and run nothing of others: one that is asked more often is needed
    ///   for its own work.
    public convenience init(after rest: Duration) { self.init(after: rest, now: Self.monotonic) }

    /// - Parameter now: nanoseconds.
    init(after rest: Duration, now: @escaping () -> Int64) {
        self.now = now
        let (seconds, attoseconds) = rest.components
        self.rest = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        if let key = Self.key { pthread_setspecific(key, Unmanaged.passUnretained(self).toOpaque()) }
    }

    deinit {
        // Whoever let it go without `end`: the thread must not find what is gone.
        guard let key = Self.key, pthread_getspecific(key) == Unmanaged.passUnretained(self).toOpaque() else { return }
        pthread_setspecific(key, nil)
    }

    /// It is an ordinary thread again.
    public func end() {
        if let key = Self.key { pthread_setspecific(key, nil) }
    }

    /// Runs a piece of the thread's own work, and then what that woke, as long as there is time.
    /// - Parameter mayStay: whether there is no more of its own work, so that it need not hurry back. Asked before each of these.
    public func lend(_ mayStay: () -> Bool = { true }, _ body: () -> Void) {
        isLent = true
        body()
        // What runs may wake more.
        var next = 0
        while next < woken.count {
            let (job, executor) = (woken[next].job, woken[next].executor)
            if mayStay(), next == 0 || hasTime() { executor.run(job) } else { executor.giveAway(job) }
            next += 1
        }
        woken.removeAll(keepingCapacity: true)
        if borrowedUntil != nil { lastUse = now() }
        (isLent, borrowedUntil) = (false, nil)
    }

    /// The calling thread, if it is lent, has more of its own work than it seemed: what it has woken goes elsewhere at once,
    /// and so does what it wakes yet.
    public static func hurry() {
        guard let thread = current else { return }
        for woken in thread.woken { woken.executor.giveAway(woken.job) }
        thread.woken.removeAll(keepingCapacity: true)
        thread.isLent = false
    }

    /// - Returns: whether it will run the job.
    func take(_ job: UnownedJob, for executor: PromptExecutor) -> Bool {
        guard isLent, hasTime() else { return false }
        woken.append(Woken(job: job, executor: executor))
        return true
    }

    private func hasTime() -> Bool {
        let now = now()
        if let borrowedUntil { return now < borrowedUntil }
        defer { lastUse = now }
        guard now - lastUse >= rest else { return false }
        borrowedUntil = now + Self.borrowedMax
        return true
    }

    private static func monotonic() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
