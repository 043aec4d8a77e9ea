import Synchronization

/// Tells those who wait that something has changed, so that they look again: instead of looking now and then.
///
/// Whoever waits takes no time from those who work, and no machine is too slow for it. A wait ends with its condition, or with
/// its task: the time limit of a suite cancels the tests that are still waiting then.
public final class Signal: Sendable {
    private struct State {
        var raised: UInt64 = 0
        var nextID: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    public init() {}

    /// Something has changed.
    public func raise() {
        let woken = state.withLock { state in
            state.raised += 1
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns once `condition` holds, which is asked now and after each change.
    /// - Throws: `NeverHappened` when the task is cancelled before that.
    public func wait(
        for what: @autoclosure () -> String = "what a test waits for", isolation: isolated (any Actor)? = #isolation,
        until condition: () async throws -> Bool
    ) async throws {
        while true {
            let seen = state.withLock { $0.raised }
            if try await condition() { return }
            guard !Task.isCancelled else { throw NeverHappened(what: what()) }
            await change(after: seen)
        }
    }

    /// Returns after the next change, at once when there was one since `seen` or when the task is cancelled.
    private func change(after seen: UInt64) async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    guard state.raised == seen, !Task.isCancelled else { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
    }
}

/// A test waited in vain, until its time was up.
public struct NeverHappened: Error, CustomStringConvertible {
    public let what: String
    public var description: String { "never: \(what)" }
}
