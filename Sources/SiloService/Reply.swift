package import SiloCore
import Synchronization

/// Where the answer to one request goes. Answer once, from any thread; what comes later is ignored.
package protocol Reply<Answer>: Sendable {
    associatedtype Answer: Sendable

    /// - Parameter onUndelivered: runs at most once, when it is known that the caller did not get this answer.
    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?)

    /// Runs when nobody waits for the answer any more.
    func onCancel(_ body: @escaping @Sendable () -> Void)
}

extension Reply {
    package func send(_ result: Result<Answer, SiloError>) { send(result, onUndelivered: nil) }
    package func send(_ answer: Answer) { send(.success(answer), onUndelivered: nil) }
}

/// Where the answers to one request go, one after another, from any thread.
package protocol StreamReply<Answer>: Sendable {
    associatedtype Answer: Sendable

    /// Sends one more. The next one waits for `whenTaken`.
    /// - Parameter whenTaken: runs once: true when the caller's flow control took it, false when nobody reads any more.
    func send(_ answer: Answer, whenTaken: @escaping @Sendable (Bool) -> Void)

    /// Ends the stream once; what comes later is ignored.
    /// - Parameter failure: ends it at once, and an answer that was not taken is lost; nil: well, after the last answer.
    func end(_ failure: SiloError?)

    /// Runs when nobody waits for answers any more.
    func onCancel(_ body: @escaping @Sendable () -> Void)
}

/// An operation that answers with a stream.
package typealias StreamOperation<Request, Answer> =
    @Sendable (Request, RequestContext, any StreamReply<Answer>) throws(SiloError) -> Void

/// An operation that answers later.
package typealias Operation<Request, Answer> =
    @Sendable (Request, RequestContext, any Reply<Answer>) throws(SiloError) -> Void

/// Runs an operation for a caller that waits. When the caller's task is cancelled it gets `.unavailable` at once, the operation
/// is told, and an answer that comes later counts as undelivered.
package func awaitAnswer<Request, Answer: Sendable>(
    _ operation: Operation<Request, Answer>, _ request: Request, _ context: RequestContext
) async throws(SiloError) -> Answer {
    let reply = AwaitedReply<Answer>()
    let result = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            guard reply.wait(continuation) else { return }
            do throws(SiloError) {
                try operation(request, context, reply)
            } catch {
                reply.send(.failure(error))
            }
        }
    } onCancel: {
        reply.cancel()
    }
    return try result.get()
}

/// What a task waits for.
private final class AwaitedReply<Answer: Sendable>: Reply {
    private struct State {
        var waiting: CheckedContinuation<Result<Answer, SiloError>, Never>?
        var isCancelled = false
        var onCancel: [@Sendable () -> Void] = []

        mutating func end() -> CheckedContinuation<Result<Answer, SiloError>, Never>? {
            onCancel = []
            defer { waiting = nil }
            return waiting
        }
    }
    private let state = Mutex(State())
    private static var left: Result<Answer, SiloError> { .failure(.unavailable("the caller has left")) }

    /// - Returns: false when the caller left before it waited; then it is answered already.
    func wait(_ continuation: CheckedContinuation<Result<Answer, SiloError>, Never>) -> Bool {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.waiting = continuation }
            return state.isCancelled
        }
        if isCancelled { continuation.resume(returning: Self.left) }
        return !isCancelled
    }

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        let (waiting, isCancelled) = state.withLock { ($0.end(), $0.isCancelled) }
        if let waiting { waiting.resume(returning: result) } else if isCancelled { onUndelivered?() }
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.onCancel.append(body) }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    func cancel() {
        let (waiting, bodies) = state.withLock { state in
            state.isCancelled = true
            let bodies = state.onCancel
            return (state.end(), bodies)
        }
        for body in bodies { body() }
        waiting?.resume(returning: Self.left)
    }
}
