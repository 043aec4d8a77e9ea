import SiloCore
import Synchronization

/// Where requests wait for the loop of their shard. Bounded: past the bound a request is refused, not queued.
final class Mailbox: Sendable {
    fileprivate struct State {
        var items: [any PendingWork] = []
        var isWoken = false
        var stop: SiloError?
        var sleeper: CheckedContinuation<Void, Never>?
        var unanswered = 0
        var unansweredBytes = 0
    }
    private let state = Mutex(State())
    private let countMax: Int
    private let bytesMax: Int

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// Takes work in, or fails it at once.
    func post(_ work: any PendingWork) {
        let bytes = work.payloadBytes
        let (refusal, sleeper): (SiloError?, CheckedContinuation<Void, Never>?) = state.withLock { state in
            if let stop = state.stop { return (stop, nil) }
            guard state.unanswered < countMax, state.unansweredBytes + bytes <= bytesMax || state.unanswered == 0 else {
                return (.exhausted("the shard has \(state.unanswered) requests in hand; back off and repeat"), nil)
            }
            state.unanswered += 1
            state.unansweredBytes += bytes
            state.items.append(work)
            return (nil, state.takeSleeper())
        }
        sleeper?.resume()
        if let refusal {
            _ = work.takeSlot()
            work.fail(refusal)
        }
    }

    /// The loop looks at its clock again.
    func wake() {
        state.withLock { state in
            state.isWoken = true
            return state.takeSleeper()
        }?.resume()
    }

    /// Refuses everything from now on. What is inside can still be taken.
    func stop(_ reason: SiloError) {
        state.withLock { state in
            if state.stop == nil { state.stop = reason }
            return state.takeSleeper()
        }?.resume()
    }

    /// The work that waits, oldest first, as soon as there is some or somebody wakes the loop. `isStopped`: no more comes.
    func take(_ countMax: Int) async -> (work: [any PendingWork], isStopped: Bool) {
        while true {
            let taken: (work: [any PendingWork], isStopped: Bool)? = state.withLock { state in
                guard state.isReady else { return nil }
                state.isWoken = false
                guard state.items.count > countMax else {
                    defer { state.items.removeAll(keepingCapacity: true) }
                    return (state.items, state.stop != nil)
                }
                defer { state.items.removeFirst(countMax) }
                return (Array(state.items.prefix(countMax)), false)
            }
            if let taken { return taken }
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    if state.isReady { return true }
                    state.sleeper = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        }
    }

    /// Work was answered: there is room for more.
    func answered(_ count: Int, bytes: Int) {
        state.withLock { state in
            state.unanswered -= count
            state.unansweredBytes -= bytes
        }
    }

    var isStopped: Bool { state.withLock { $0.stop != nil } }
}

extension Mailbox.State {
    fileprivate var isReady: Bool { isWoken || stop != nil || !items.isEmpty }

    fileprivate mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
        defer { sleeper = nil }
        return sleeper
    }
}
