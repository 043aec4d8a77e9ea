import SiloCore
import Synchronization

/// Wakes the one task that moves a store's rows below.
final class CheckpointBell: Sendable {
    typealias Request = CheckedContinuation<Void, any Error>

    private struct State {
        var isRung = false
        /// Somebody waits for the next round.
        var isUrgent = false
        var isStopped = false
        /// Those who wait for the next round, and for the one that is under way.
        var requests: [Request] = []
        var round: [Request] = []
        var sleeper: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    var isStopped: Bool { state.withLock { $0.isStopped } }

    func ring() { wake { $0.isRung = true } }
    /// Rings, and cuts a pause short that may be.
    func ringUrgently() { wake { ($0.isRung, $0.isUrgent) = (true, true) } }
    func stop() { wake { $0.isStopped = true } }

    /// Rings, and returns when the round that begins then has ended.
    func request() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let isStopped = state.withLock { state in
                if !state.isStopped { state.requests.append(continuation) }
                return state.isStopped
            }
            if isStopped { return continuation.resume(throwing: Self.closed) }
            ring()
        }
    }

    /// Returns when it was rung, and a round begins; false when it was stopped.
    func wait() async -> Bool {
        await sleep { $0.isRung || $0.isStopped }
        let isStopped = state.withLock { state in
            (state.isRung, state.isUrgent) = (false, false)
            state.round += state.requests
            state.requests = []
            return state.isStopped
        }
        if isStopped { answer(.failure(Self.closed)) }
        return !isStopped
    }

    /// The round has ended so: tells those who waited for it.
    func answer(_ result: Result<Void, StoreError>) {
        let requests = state.withLock { state in
            defer { state.round = [] }
            return state.round
        }
        for request in requests { request.resume(with: result.mapError { $0 as any Error }) }
    }

    /// The round does not end soon: whoever waits, for it or for the next one, is told why.
    func refuse(_ error: StoreError) {
        let requests = state.withLock { state in
            defer { (state.round, state.requests) = ([], []) }
            return state.round + state.requests
        }
        for request in requests { request.resume(throwing: error) }
    }

    /// Returns after a while, or when it was stopped, or, unless it is to be a long one in any case, was rung urgently.
    func pause(milliseconds: Int64, inAnyCase: Bool = true, in environment: Environment) async {
        let isOver = Mutex(false)
        let timer = environment.start { [self] in
            try? await environment.clock.sleep(milliseconds: milliseconds)
            wake { _ in isOver.withLock { $0 = true } }
        }
        await sleep { $0.isStopped || !inAnyCase && $0.isUrgent || isOver.withLock { $0 } }
        timer.cancel()
        await timer.value
    }

    private static let closed = StoreError.unavailable("the store is closed")

    private func wake(_ change: (inout State) -> Void) {
        let sleeper = state.withLock { state in
            change(&state)
            defer { state.sleeper = nil }
            return state.sleeper
        }
        sleeper?.resume()
    }

    /// For the one task.
    private func sleep(_ until: @Sendable (State) -> Bool) async {
        while !state.withLock({ until($0) }) {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isOver = until(state)
                    if !isOver { state.sleeper = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        }
    }
}
