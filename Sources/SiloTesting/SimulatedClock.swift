public import SiloCore
import Synchronization

/// A clock that jumps to the next moment for which somebody waits, whenever a `SeededExecutor` has nothing else to do.
///
/// It counts microseconds, so that more can happen in order within a millisecond. What is due at the same microsecond happens
/// in an order that the seed decides.
public final class SimulatedClock: Clock {
    /// Names something that waits.
    public struct Alarm: Hashable, Sendable {
        fileprivate let id: UInt64
    }

    private struct Entry: Comparable {
        let at: Int64
        let order: UInt64
        let id: UInt64
        static func < (left: Entry, right: Entry) -> Bool {
            (left.at, left.order, left.id) < (right.at, right.order, right.id)
        }
    }
    private struct State {
        var microseconds: Int64
        var heap = MinHeap<Entry>()
        /// Those not in here are over.
        var actions: [UInt64: @Sendable () -> Void] = [:]
        var lastID: UInt64 = 0
    }
    private let state: Mutex<State>
    private let random: SeededRandom

    public init(seed: UInt64, at now: Timestamp = Timestamp(1_700_000_000_000)) {
        state = Mutex(State(microseconds: now.milliseconds * 1000))
        random = SeededRandom(seed: seed)
    }

    public var now: Timestamp { Timestamp(state.withLock { $0.microseconds } / 1000) }
    public var steady: Timestamp { now }

    /// Since the Unix epoch.
    public var microseconds: Int64 { state.withLock { $0.microseconds } }

    public var waitCount: Int { state.withLock { $0.actions.count } }

    /// Runs `action` after a while, unless it is called off. It must not wait.
    @discardableResult
    public func after(microseconds: Int64, _ action: @escaping @Sendable () -> Void) -> Alarm {
        let order = random.next()
        return state.withLock { state in
            state.lastID += 1
            let (at, overflow) = state.microseconds.addingReportingOverflow(max(0, microseconds))
            state.heap.insert(Entry(at: overflow ? .max : at, order: order, id: state.lastID))
            state.actions[state.lastID] = action
            return Alarm(id: state.lastID)
        }
    }

    /// False when it has happened, or was called off before.
    @discardableResult
    public func callOff(_ alarm: Alarm) -> Bool {
        state.withLock { $0.actions.removeValue(forKey: alarm.id) } != nil
    }

    public func sleep(milliseconds: Int64) async throws {
        try await sleep(microseconds: max(0, milliseconds).multipliedSaturating(by: 1000))
    }

    public func sleep(microseconds: Int64) async throws {
        let sleeper = Sleeper()
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                guard sleeper.begin(continuation) else { return }
                let alarm = after(microseconds: microseconds) { sleeper.end(.success(())) }
                sleeper.keep(alarm)
            }
        } onCancel: {
            if let alarm = sleeper.end(.failure(CancellationError())) { callOff(alarm) }
        }
    }

    /// As `sleep`, also for tasks that were cancelled.
    public func pause(microseconds: Int64) async {
        await withUnsafeContinuation { continuation in
            _ = after(microseconds: microseconds) { continuation.resume() }
        }
    }

    /// Moves to the next moment for which somebody waits, and does what is due then. False when nobody waits.
    func advance() -> Bool {
        var hasActed = false
        while let action = nextAction(hasActed) {
            hasActed = true
            action()
        }
        return hasActed
    }

    /// - Parameter isLate: time has moved already.
    private func nextAction(_ isLate: Bool) -> (@Sendable () -> Void)? {
        state.withLock { state in
            while let entry = state.heap.first {
                if isLate, entry.at > state.microseconds { return nil }
                state.heap.popFirst()
                guard let action = state.actions.removeValue(forKey: entry.id) else { continue }
                state.microseconds = max(state.microseconds, entry.at)
                return action
            }
            return nil
        }
    }
}

/// One task that sleeps, or is about to.
private final class Sleeper: Sendable {
    private struct State {
        var continuation: UnsafeContinuation<Void, any Error>?
        var alarm: SimulatedClock.Alarm?
        var isCancelled = false
    }
    private let state = Mutex(State())

    /// False when the task was cancelled before.
    func begin(_ continuation: UnsafeContinuation<Void, any Error>) -> Bool {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.continuation = continuation }
            return state.isCancelled
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
        return !isCancelled
    }

    func keep(_ alarm: SimulatedClock.Alarm) { state.withLock { $0.alarm = alarm } }

    @discardableResult
    func end(_ result: Result<Void, any Error>) -> SimulatedClock.Alarm? {
        let (continuation, alarm) = state.withLock { state in
            if case .failure = result { state.isCancelled = true }
            defer { state.continuation = nil }
            return (state.continuation, state.alarm)
        }
        continuation?.resume(with: result)
        return alarm
    }
}

extension Int64 {
    fileprivate func multipliedSaturating(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}

/// What is least comes first.
struct MinHeap<Element: Comparable> {
    private var elements: [Element] = []

    var first: Element? { elements.first }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popFirst() {
        guard let last = elements.popLast(), !elements.isEmpty else { return }
        elements[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
                least = child
            }
            guard least != parent else { return }
            elements.swapAt(parent, least)
            parent = least
        }
    }
}
