private import Glibc
public import SiloCore
import Synchronization

/// Runs every task on the thread that called `run`, one piece at a time, in an order that a seed decides.
///
/// When no task can go on, simulated time jumps to the next moment for which somebody waits. What runs here must use the
/// clock of the same world, and touch no other threads.
public final class SeededExecutor: TaskExecutor, SerialExecutor {
    /// What is left of a task until it waits again.
    private struct Piece {
        let job: UnownedJob
        /// Nil: of no process that may be stopped.
        let process: SimulatedProcess?
    }
    private struct State {
        var ready: [Piece] = []
        var jobsRun = 0
        /// The one that is in `run`.
        var thread: pthread_t?
        /// Another thread woke a task.
        var isDisturbed = false
        var hints: [@Sendable () -> String] = []
    }
    private let state = Mutex(State())
    private let random: SeededRandom
    public let clock: SimulatedClock

    public init(seed: UInt64, clock: SimulatedClock) {
        random = SeededRandom(seed: seed)
        self.clock = clock
    }

    public func enqueue(_ job: consuming ExecutorJob) { enqueue(UnownedJob(job), of: nil) }

    func enqueue(_ job: UnownedJob, of process: SimulatedProcess?) {
        state.withLock { state in
            state.ready.append(Piece(job: job, process: process))
            if let thread = state.thread, pthread_equal(thread, pthread_self()) == 0 { state.isDisturbed = true }
        }
    }

    /// Pieces of tasks run so far.
    public var jobsRun: Int { state.withLock { $0.jobsRun } }

    /// Adds something to say when a run stands still.
    public func onStandstill(_ hint: @escaping @Sendable () -> String) {
        state.withLock { $0.hints.append(hint) }
    }

    /// Runs `body` to its end, and with it every other task of this executor. Those that are left over when it ends stay as
    /// they are, until the next run.
    /// - Parameters:
    ///   - timeMax: simulated milliseconds that it may take.
    ///   - jobsMax: pieces of tasks that may run between two moments of simulated time.
    /// - Throws: what `body` throws; `Standstill` when it cannot end, or takes too long.
    public func run<Value: Sendable>(
        timeMax: Int64 = .max, jobsMax: Int = 10_000_000, _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        state.withLock { $0.thread = pthread_self() }
        defer { state.withLock { $0.thread = nil } }
        let result = Mutex<Result<Value, any Error>?>(nil)
        let deadline = clock.now + timeMax
        // `run` itself waits for it.
        Task(executorPreference: self) {
            let value: Result<Value, any Error>
            do { value = .success(try await body()) } catch { value = .failure(error) }
            result.withLock { $0 = value }
        }
        var jobs = 0
        while true {
            if let result = result.withLock({ $0 }) { return try result.get() }
            if let piece = next() {
                piece.job.runSynchronously(on: piece.process?.asUnownedTaskExecutor() ?? asUnownedTaskExecutor())
                jobs += 1
                guard !state.withLock({ $0.isDisturbed }) else {
                    throw standstill("another thread woke a task: no second run would be the same")
                }
                guard jobs < jobsMax else { throw standstill("tasks run on and on, and time does not pass") }
            } else {
                guard clock.now <= deadline else { throw standstill("it takes too long") }
                guard clock.advance() else { throw standstill("everybody waits, and nobody for a time") }
                jobs = 0
            }
        }
    }

    private func next() -> Piece? {
        state.withLock { state in
            while !state.ready.isEmpty {
                let last = state.ready.count - 1
                if last > 0 { state.ready.swapAt(random.below(last + 1), last) }
                let piece = state.ready.removeLast()
                if let process = piece.process, process.holds(piece.job) { continue }
                state.jobsRun += 1
                return piece
            }
            return nil
        }
    }

    private func standstill(_ reason: String) -> Standstill {
        let (hints, jobsRun) = state.withLock { ($0.hints, $0.jobsRun) }
        return Standstill(
            reason: reason, now: clock.now, jobsRun: jobsRun, waits: clock.waitCount, hints: hints.map { $0() }
        )
    }
}

/// A simulation that does not end.
public struct Standstill: Error, CustomStringConvertible {
    public let reason: String
    public let now: Timestamp
    /// Pieces of tasks run.
    public let jobsRun: Int
    /// Moments that somebody waits for.
    public let waits: Int
    /// What the parts of the world have to say.
    public let hints: [String]

    public var description: String {
        (["\(reason): at \(now), after \(jobsRun) pieces of tasks, \(waits) wait for a time"] + hints).joined(separator: "\n")
    }
}
