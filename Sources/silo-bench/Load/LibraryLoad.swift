import SiloClient
import SiloCore
import Synchronization

/// Load as an application makes it that uses the client library: many tasks that each enqueue one job after the other, and a
/// worker whose handler does nothing. What travels together is the library's doing.
final class LibraryLoad: LoadLoops {
    private struct State {
        // The library asks for work out of sight.
        var tally = LoadTally(counts: Counts(polls: nil))
        var isEnqueuing = true
        var unfinished = 0
        var parked: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    private let client: Client
    private let plan: LifeCycles.Plan
    private let payload: Payload
    private let worker = Mutex<(Worker, Task<Void, Never>)?>(nil)
    private let enqueuers = Mutex<[Task<Void, Never>]>([])

    /// - Parameter plan: its `workers` are the tasks that one worker has in hand at once, its `enqueuers` tasks that enqueue.
    init(_ options: ClientOptions, _ plan: LifeCycles.Plan, payload: Payload) {
        client = Client(options)
        self.plan = plan
        self.payload = payload
    }

    func start() {
        var options = WorkerOptions()
        options.concurrency = plan.workers
        options.wait = .milliseconds(plan.waitMilliseconds)
        options.onError = { error in
            self.state.withLock { state in
                state.tally.counts.failures += 1
                state.tally.counts.failure = "\(error)"
            }
        }
        let worker = Worker(client, group: OpenShard.group, options) { task in
            self.finished(task)
            return .succeeded(.empty)
        }
        // Ends when `stop` stops it.
        self.worker.withLock { $0 = (worker, Task { await worker.run() }) }
        // They end when `stopEnqueuing` was called.
        enqueuers.withLock { $0 = (0..<plan.enqueuers).map { _ in Task { await self.enqueue() } } }
    }

    /// What the server has not acknowledged yet is not finished.
    var counts: Counts {
        let inHand = worker.withLock { $0?.0.runningTasks ?? 0 }
        return state.withLock { state in
            var counts = state.tally.counts
            counts.reported = max(0, counts.reported - inHand)
            return counts
        }
    }

    func withTally<Value>(_ body: (inout LoadTally) -> Value) -> Value { state.withLock { body(&$0.tally) } }

    func stopEnqueuing() {
        let parked = state.withLock { state in
            state.isEnqueuing = false
            defer { state.parked = [] }
            return state.parked
        }
        for task in parked { task.resume() }
    }

    func stop() async {
        stopEnqueuing()
        for task in enqueuers.withLock({ $0 }) { await task.value }
        if let (worker, running) = worker.withLock({ $0 }) {
            worker.stop()
            await running.value
        }
        client.close()
    }

    private func enqueue() async {
        while await mayEnqueue() {
            let begun = Instant.now
            let job = NewJob(OpenShard.group, payload: SiloClient.Payload(bytes: payload.bytes(sent: begun)))
            do {
                try await client.enqueue(job)
                let end = Instant.now
                state.withLock { state in
                    state.tally.counts.enqueued += 1
                    if state.tally.isRecording { state.tally.latencies.enqueue.add(end.milliseconds(since: begun)) }
                }
            } catch {
                state.withLock { state in
                    state.unfinished -= 1
                    state.tally.counts.failures += 1
                    state.tally.counts.failure = "\(error)"
                }
                try? await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// Waits while too many are unfinished.
    private func mayEnqueue() async -> Bool {
        while true {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    let waits = state.isEnqueuing && state.unfinished >= plan.unfinishedMax
                    if waits { state.parked.append(continuation) }
                    return waits
                }
                if !waits { continuation.resume() }
            }
            let answer: Bool? = state.withLock { state in
                guard state.isEnqueuing else { return false }
                guard state.unfinished < plan.unfinishedMax else { return nil }
                state.unfinished += 1
                return true
            }
            if let answer { return answer }
        }
    }

    private func finished(_ task: TaskContext) {
        let now = Instant.now
        let parked = state.withLock { state in
            state.tally.counts.leased += 1
            state.tally.counts.reported += 1
            state.unfinished -= 1
            state.tally.lastReport = now
            if state.tally.isRecording, let sent = Payload.sent(in: task.payload.bytes) {
                state.tally.latencies.lifeCycle.add(now.milliseconds(since: sent))
            }
            return state.parked.popLast()
        }
        parked?.resume()
    }
}
