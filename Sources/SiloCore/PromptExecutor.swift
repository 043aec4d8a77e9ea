private import Dispatch

/// Runs tasks on the threads that wake them, where these are lent, and else on Dispatch's. For tasks that do a little and then
/// wait.
public final class PromptExecutor: TaskExecutor {
    public init() {}

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if LentThread.current?.take(job, for: self) != true { giveAway(job) }
    }

    func run(_ job: UnownedJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }

    func giveAway(_ job: UnownedJob) { DispatchQueue.global().async { self.run(job) } }
}
