import GRPC
import Synchronization

/// One item on its way to a server, and whoever waits for its answer.
final class Parcel<Item: Sendable>: Sendable {
    private struct State {
        var answer: Answer?
        var waiter: CheckedContinuation<Answer, Never>?
        var onGivenUp: (@Sendable () -> Void)?
    }
    enum Answer: Sendable {
        case taken
        case refused(Status)
    }
    let item: Item
    /// Bytes on the wire, or a little more.
    let weight: Int
    private let state = Mutex(State())

    init(_ item: Item, weight: Int) {
        self.item = item
        self.weight = weight
    }

    var answer: Answer? { state.withLock { $0.answer } }
    var isOpen: Bool { answer == nil }

    /// The first answer counts.
    func end(_ answer: Answer) { _ = finish(answer) }

    /// Waits for the answer. Cancelling the task gives the parcel up, wherever it is.
    func answered() async -> Answer {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state in
                    if state.answer == nil { state.waiter = continuation }
                    return state.answer
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            finish(.refused(Status(.cancelled, "the caller was cancelled")))?()
        }
    }

    /// - Parameter act: called when its caller gives it up from now on.
    func onGivenUp(_ act: @escaping @Sendable () -> Void) {
        state.withLock { if $0.answer == nil { $0.onGivenUp = act } }
    }

    /// - Returns: what to do when it was the caller that ended it; nil when it had an answer before.
    private func finish(_ answer: Answer) -> (@Sendable () -> Void)? {
        let (waiter, onGivenUp) = state.withLock { state -> (CheckedContinuation<Answer, Never>?, (@Sendable () -> Void)?) in
            guard state.answer == nil else { return (nil, nil) }
            defer { (state.waiter, state.onGivenUp) = (nil, nil) }
            state.answer = answer
            return (state.waiter, state.onGivenUp)
        }
        waiter?.resume(returning: answer)
        return onGivenUp
    }
}
