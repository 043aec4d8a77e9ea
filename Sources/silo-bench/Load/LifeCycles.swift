import Dispatch
import Synchronization

/// Closed loops that enqueue, lease and report.
///
/// Enqueue loops and worker loops each keep one call in flight. The jobs between enqueue and report are bounded, so that
/// both sides come to the same rate: a loop that would go past the bound parks until jobs are reported.
final class LifeCycles: LoadLoops {
    struct Plan: Sendable {
        var enqueuers = 4
        var workers = 8
        /// Jobs in one enqueue call. Above 1, a worker also reports what it leased in one call.
        var batch = 1
        /// Tasks that a worker asks for.
        var leaseMax = 1
        /// Jobs between the enqueue call and the answer to the report.
        var unfinishedMax = 1000
        var waitMilliseconds = 1000
        /// Jobs to enqueue in all.
        var jobsMax = Int.max
        var tenants = Tenants.none
    }

    private struct State {
        var tally = LoadTally()
        var isEnqueuing = true
        var isWorking = true
        /// Jobs that were given to an enqueue call.
        var given = 0
        var unfinished = 0
        var parked = 0
        var loops = 0
        var random: UInt64 = 0x2545_f491_4f6c_dd1d
    }
    private let state = Mutex(State())
    private let queue: any JobQueue
    private let plan: Plan

    init(_ queue: any JobQueue, _ plan: Plan) {
        self.queue = queue
        self.plan = plan
    }

    func start() {
        state.withLock { $0.loops = plan.enqueuers + plan.workers }
        for _ in 0..<plan.workers { work() }
        for _ in 0..<plan.enqueuers { enqueue() }
    }

    var counts: Counts { state.withLock { $0.tally.counts } }

    func withTally<Value>(_ body: (inout LoadTally) -> Value) -> Value { state.withLock { body(&$0.tally) } }

    func stopEnqueuing() {
        state.withLock { state in
            state.isEnqueuing = false
            state.loops -= state.parked
            state.parked = 0
        }
    }

    /// Ends all loops when every job is reported.
    func finish() async {
        stopEnqueuing()
        while state.withLock({ $0.unfinished > 0 }) { try? await Task.sleep(for: .milliseconds(2)) }
        await stop()
    }

    /// Ends all loops; returns when no call is in flight.
    func stop() async {
        stopEnqueuing()
        state.withLock { $0.isWorking = false }
        while state.withLock({ $0.loops > 0 }) { try? await Task.sleep(for: .milliseconds(2)) }
    }

    private enum Step {
        case call([String?])
        case park
        case end
    }

    private func enqueue() {
        let step: Step = state.withLock { state in
            guard state.isEnqueuing, state.given < plan.jobsMax else {
                state.loops -= 1
                return .end
            }
            guard state.unfinished + plan.batch <= plan.unfinishedMax else {
                state.parked += 1
                return .park
            }
            state.given += plan.batch
            state.unfinished += plan.batch
            return .call(plan.tenants.pick(plan.batch, &state.random))
        }
        guard case .call(let tenants) = step else { return }
        let begun = Instant.now
        queue.enqueue(tenants, sent: begun) { result in
            switch result {
            case .success:
                let end = Instant.now
                self.state.withLock { state in
                    state.tally.counts.enqueued += tenants.count
                    if state.tally.isRecording { state.tally.latencies.enqueue.add(end.milliseconds(since: begun)) }
                }
                self.enqueue()
            case .failure(let failure):
                self.state.withLock { $0.unfinished -= tenants.count }
                self.fail(failure) { self.enqueue() }
            }
        }
    }

    private func work() {
        let goesOn = state.withLock { state in
            if !state.isWorking { state.loops -= 1 }
            return state.isWorking
        }
        guard goesOn else { return }
        let begun = Instant.now
        queue.lease(plan.leaseMax, waitMilliseconds: plan.waitMilliseconds) { result in
            let end = Instant.now
            switch result {
            case .success(let jobs):
                self.state.withLock { state in
                    state.tally.counts.polls?.all += 1
                    state.tally.counts.leased += jobs.count
                    if jobs.isEmpty { state.tally.counts.polls?.empty += 1 }
                    if state.tally.isRecording, !jobs.isEmpty { state.tally.latencies.lease.add(end.milliseconds(since: begun)) }
                }
                self.report(jobs)
            case .failure(let failure):
                self.fail(failure) { self.work() }
            }
        }
    }

    /// Reports, then works on.
    private func report(_ jobs: [LeasedJob]) {
        guard !jobs.isEmpty else { return work() }
        guard plan.batch == 1, jobs.count > 1 else { return send(jobs) { self.work() } }
        let left = Countdown(jobs.count)
        for job in jobs { send([job]) { if left.isLast { self.work() } } }
    }

    private func send(_ jobs: [LeasedJob], then next: @escaping @Sendable () -> Void) {
        let begun = Instant.now
        queue.report(jobs) { result in
            let end = Instant.now
            switch result {
            case .success:
                let unparked: Int = self.state.withLock { state in
                    state.tally.counts.reported += jobs.count
                    state.unfinished -= jobs.count
                    state.tally.lastReport = end
                    if state.tally.isRecording {
                        state.tally.latencies.report.add(end.milliseconds(since: begun))
                        for case let sent? in jobs.lazy.map(\.sent) {
                            state.tally.latencies.lifeCycle.add(end.milliseconds(since: sent))
                        }
                    }
                    let room = max(0, (self.plan.unfinishedMax - state.unfinished) / self.plan.batch)
                    let unparked = min(state.parked, room)
                    state.parked -= unparked
                    return unparked
                }
                for _ in 0..<unparked { self.enqueue() }
                next()
            case .failure(let failure):
                self.state.withLock { $0.unfinished -= jobs.count }
                self.fail(failure, then: next)
            }
        }
    }

    /// Counts a failure and goes on a little later, so that a server that refuses is not flooded.
    private func fail(_ failure: Failure, then next: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.tally.counts.failures += 1
            state.tally.counts.failure = failure.description
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(10), execute: next)
    }
}

/// Tells who of several comes last.
private final class Countdown: Sendable {
    private let left: Atomic<Int>
    init(_ count: Int) { left = Atomic(count) }
    /// True once, for the last one that asks.
    var isLast: Bool { left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
