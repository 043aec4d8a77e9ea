import GRPC
import SiloCore
import Synchronization

/// Sends items in as few calls as there is time for. One that comes alone goes at once; those that come while a call to the same
/// place is on its way go together in the next, in their order.
final class Gatherer<Place: Hashable & Sendable, Item: Sendable>: Sendable {
    /// Brings parcels to a place in one call. On return each has its answer; `letNextGo` may be called before, so that the next
    /// call goes beside it.
    typealias Deliver = @Sendable (
        _ parcels: [Parcel<Item>], _ place: Place, _ letNextGo: @escaping @Sendable () -> Void
    ) async -> Void

    struct Manner: Sendable {
        let bounds: CallBounds
        /// The next call goes beside one that takes longer. Nil: however long it takes.
        var patience: Duration?
        /// An item that comes alone goes in its caller's own task, without a change of threads.
        var usesCallersTask: Bool
    }
    private struct State {
        var lines: [Place: Line<Parcel<Item>>] = [:]
        var calls = 0
    }
    private let manner: Manner
    private let clock: any Clock
    /// Where calls run that no caller makes itself.
    private let start: @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>
    private let deliver: Deliver
    private let state = Mutex(State())

    init(
        _ manner: Manner, clock: any Clock,
        start: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Task<Void, Never>, deliver: @escaping Deliver
    ) {
        self.manner = manner
        self.clock = clock
        self.start = start
        self.deliver = deliver
    }

    /// Returns when the item was taken. Cancelling the task gives it up; whether it was taken is not known then.
    /// - Throws: why it was not taken.
    func send(_ parcel: Parcel<Item>, to place: Place) async throws(Status) {
        let now = clock.steady
        let (call, watches) = state.withLock { state in
            state.lines[place, default: Line()].add(parcel)
            let call = next(to: place, at: now, &state)
            return (call, manner.patience != nil && state.lines[place]?.beginWatch() ?? false)
        }
        // Ends soon after the line is empty.
        if watches { _ = start { await self.watch(place) } }
        if let call {
            if manner.usesCallersTask { await make(call, to: place) } else { begin(call, to: place) }
        }
        if case .refused(let status) = await parcel.answered() { throw status }
    }

    private func next(to place: Place, at now: Timestamp, _ state: inout State) -> Line<Parcel<Item>>.Call? {
        state.calls += 1
        let call = state.lines[place]?.next(
            state.calls, at: now, within: manner.bounds, weight: \.weight, isWanted: \.isOpen
        )
        if state.lines[place]?.isIdle ?? false { state.lines[place] = nil }
        return call
    }

    /// Makes a call beside its callers. It is cancelled when all of them have given up.
    private func begin(_ call: Line<Parcel<Item>>.Call, to place: Place) {
        let task = start { await self.make(call, to: place) }
        let isOver: @Sendable () -> Void = {
            if !call.items.contains(where: \.isOpen) { task.cancel() }
        }
        for parcel in call.items { parcel.onGivenUp(isOver) }
        isOver()
    }

    private func make(_ call: Line<Parcel<Item>>.Call, to place: Place) async {
        await deliver(call.items, place) { self.letNextGo(after: call.number, to: place) }
        letNextGo(after: call.number, to: place)
    }

    private func letNextGo(after number: Int, to place: Place) {
        let now = clock.steady
        let call = state.withLock { state in
            state.lines[place]?.release(number)
            return next(to: place, at: now, &state)
        }
        if let call { begin(call, to: place) }
    }

    private func watch(_ place: Place) async {
        while true {
            let now = clock.steady
            let (call, look) = state.withLock { state in
                let look = state.lines[place]?.watch(at: now, patience: manner.patience?.milliseconds ?? .max)
                return (next(to: place, at: now, &state), look)
            }
            if let call {
                Probe.clientPassedSlowCall.reached()
                begin(call, to: place)
            }
            guard let look else { return }
            // A task that is cancelled looks once more and ends with the line.
            do { try await clock.sleep(milliseconds: max(1, look - clock.steady)) } catch { return }
        }
    }
}
