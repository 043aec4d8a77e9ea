import SiloCore
import Synchronization

/// Where requests wait for the loop of their shard, in lanes. Bounded: past the bound a request is refused, not queued.
final class Mailbox: Sendable {
    fileprivate struct State {
        var own = FIFO<any PendingWork>()
        var renewals = FIFO<any PendingWork>()
        var ordinary = FIFO<any PendingWork>()
        var isWoken = false
        var stop: SiloError?
        var sleeper: CheckedContinuation<Void, Never>?
        var calls = InHand()
        var renewalCalls = InHand()
        var abandoned = 0
        var posted = 0
    }
    /// Calls that were taken in and are not answered.
    fileprivate struct InHand {
        var count = 0
        var bytes = 0
        /// Of those, such as have most of the lane's bytes each.
        var large = 0
    }
    private let state = Mutex(State())
    private let clock: any Clock
    private let countMax: Int
    private let budget: MemoryBudget
    private let renewalBytesMax: Int

    /// - Parameters:
    ///   - budget: bytes of ordinary work in hand, shared with other shards.
    ///   - renewalBytesMax: of what renews and ends leases, besides.
    init(clock: any Clock, countMax: Int, budget: MemoryBudget, renewalBytesMax: Int) {
        self.clock = clock
        self.countMax = countMax
        self.budget = budget
        self.renewalBytesMax = renewalBytesMax
    }

    /// Takes work in, or fails it at once.
    func post(_ work: any PendingWork) {
        work.arrivedAt = clock.steady
        let (refusal, sleeper): (SiloError?, CheckedContinuation<Void, Never>?) = state.withLock { state in
            if let stop = state.stop { return (stop, nil) }
            if work.lane != .own, !work.isAside { state.posted += 1 }
            switch work.lane {
            case .own:
                state.own.append(work)
            case .renewal:
                guard state.renewalCalls.count < countMax, hasRoom(for: work, beside: state.renewalCalls) else {
                    return (.tooMuchInHand(state.renewalCalls.count), nil)
                }
                state.renewalCalls.add(work, isLarge: isLarge(work))
                state.renewals.append(work)
            case .ordinary:
                guard state.calls.count < countMax, budget.take(work.weight.bytes, atLeastOne: state.calls.count == 0) else {
                    return (.tooMuchInHand(state.calls.count), nil)
                }
                state.calls.add(work)
                state.ordinary.append(work)
            }
            return (nil, state.takeSleeper())
        }
        sleeper?.resume()
        if let refusal {
            _ = work.takeSlot()
            work.fail(refusal)
        }
    }

    /// A large outcome is let in beside any number of small ones, one at a time: waiting for all others to be answered it might
    /// wait for ever.
    private func hasRoom(for work: any PendingWork, beside inHand: InHand) -> Bool {
        inHand.bytes + work.weight.bytes <= renewalBytesMax || isLarge(work) && inHand.large == 0
    }

    private func isLarge(_ work: any PendingWork) -> Bool { work.weight.bytes > renewalBytesMax / 2 }

    /// Hands a command of the shard's own to the loop, and waits until what it did is durable.
    func run<C: Command>(_ command: C) async throws(SiloError) -> C.Answer {
        let result = await withCheckedContinuation { continuation in
            post(PendingCommand(command) { continuation.resume(returning: $0) })
        }
        return try result.get()
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

    /// Returns as soon as there is work, or somebody wakes the loop, or no more work comes.
    func waitForWork() async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if state.isReady { return true }
                state.sleeper = continuation
                return false
            }
            if ready { continuation.resume() }
        }
    }

    /// A turn begins: whoever wakes the loop from now on wants another.
    /// - Returns: how much waits. What comes while the turn goes on is for the next, so that renewals among it go first there.
    func beginTurn() -> (renewals: Int, ordinary: Int) {
        state.withLock { state in
            state.isWoken = false
            return (state.own.count + state.renewals.count, state.ordinary.count)
        }
    }

    /// The oldest work of a lane; nil when none waits there.
    func take(_ lane: Lane) -> (any PendingWork)? {
        state.withLock { state in
            switch lane {
            case .own: state.own.popFirst()
            case .renewal: state.renewals.popFirst()
            case .ordinary: state.ordinary.popFirst()
            }
        }
    }

    /// Work that has begun, and goes on in the next turn: before all others of its lane, or behind them.
    func putBack(_ work: any PendingWork) {
        if work.goesOnBehindOthers { work.arrivedAt = clock.steady }
        state.withLock { state in
            guard !work.goesOnBehindOthers else { return state.ordinary.append(work) }
            switch work.lane {
            case .own: state.own.prepend(work)
            case .renewal: state.renewals.prepend(work)
            case .ordinary: state.ordinary.prepend(work)
            }
        }
    }

    /// When the oldest renewal that still waits came in: what leases expired since then may be renewed by it.
    var oldestRenewal: Timestamp? { state.withLock { $0.renewals.first?.arrivedAt } }

    /// When the oldest of all that waits came in.
    var oldest: Timestamp? { state.withLock(\.oldest) }

    /// What waits here and what is in hand, at this moment.
    var load: MailboxLoad {
        state.withLock { state in
            MailboxLoad(
                own: state.own.count, renewals: state.renewals.count, ordinary: state.ordinary.count,
                oldest: state.oldest,
                inHand: state.calls.count + state.renewalCalls.count, inHandBytes: state.calls.bytes + state.renewalCalls.bytes,
                isStopped: state.stop != nil
            )
        }
    }

    /// No work waits and none comes any more.
    var isFinished: Bool { state.withLock { $0.stop != nil && $0.isEmpty } }

    /// Everything, when the shard has failed.
    func takeAll() -> [any PendingWork] {
        var all: [any PendingWork] = []
        for lane in [Lane.own, .renewal, .ordinary] {
            while let work = take(lane) { all.append(work) }
        }
        return all
    }

    /// Work was answered: there is room for more.
    func answered(_ work: [any PendingWork]) {
        var renewals = InHand()
        var calls = InHand()
        for item in work where item.takeSlot() {
            switch item.lane {
            case .own: break
            case .renewal: renewals.add(item, isLarge: isLarge(item))
            case .ordinary: calls.add(item)
            }
        }
        budget.give(calls.bytes)
        state.withLock { state in
            state.renewalCalls.subtract(renewals)
            state.calls.subtract(calls)
        }
    }

    /// Fails work that was taken in: there is room for more.
    func fail(_ work: [any PendingWork], _ error: SiloError) {
        answered(work)
        for item in work { item.fail(error) }
    }

    /// Ordinary work in hand has grown by the answer that it came to.
    func grew(by bytes: Int) {
        guard bytes > 0 else { return }
        budget.change(by: bytes)
        state.withLock { $0.calls.bytes += bytes }
    }

    /// So much is in hand that no more should come about.
    var isOver: Bool { budget.isOver }

    /// How much others have sent here, since the shard was opened, whether it was taken in or refused. Without steps of bulk
    /// actions and of housekeeping, and without who asked how far they were: these would be taken for work that they hinder.
    var posted: Int { state.withLock { $0.posted } }

    var isStopped: Bool { state.withLock { $0.stop != nil } }

    /// A worker that waited is gone.
    func noteAbandoned() { state.withLock { $0.abandoned += 1 } }

    /// Workers that are gone and that the loop has not heard of.
    var abandonedCount: Int { state.withLock { $0.abandoned } }

    /// Workers that are gone, since the last call.
    func takeAbandoned() -> Int {
        state.withLock { state in
            defer { state.abandoned = 0 }
            return state.abandoned
        }
    }
}

extension Mailbox.State {
    fileprivate var isEmpty: Bool { own.isEmpty && renewals.isEmpty && ordinary.isEmpty }
    fileprivate var oldest: Timestamp? {
        [own.first, renewals.first, ordinary.first].compactMap { $0?.arrivedAt }.min()
    }
    fileprivate var isReady: Bool { isWoken || stop != nil || !isEmpty }

    fileprivate mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
        defer { sleeper = nil }
        return sleeper
    }
}

extension Mailbox.InHand {
    fileprivate mutating func add(_ work: any PendingWork, isLarge: Bool = false) {
        count += 1
        bytes += work.weight.bytes
        if isLarge { large += 1 }
    }

    fileprivate mutating func subtract(_ other: Self) {
        count -= other.count
        bytes -= other.bytes
        large -= other.large
    }
}

extension SiloError {
    fileprivate static func tooMuchInHand(_ count: Int) -> SiloError {
        .exhausted("the shard has \(count) requests in hand; back off and repeat")
    }
}
