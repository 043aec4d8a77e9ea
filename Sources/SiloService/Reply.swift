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

/// An operation that answers later.
package typealias Operation<Request, Answer> =
    @Sendable (Request, RequestContext, any Reply<Answer>) throws(SiloError) -> Void

/// Runs an operation for a caller that waits. When the caller's task is cancelled the operation is told, and still answers.
package func awaitAnswer<Request, Answer: Sendable>(
    _ operation: Operation<Request, Answer>, _ request: Request, _ context: RequestContext
) async throws(SiloError) -> Answer {
    let reply = AwaitedReply<Answer>()
    let result = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            reply.wait(continuation)
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
    }
    private let state = Mutex(State())

    func wait(_ continuation: CheckedContinuation<Result<Answer, SiloError>, Never>) {
        state.withLock { $0.waiting = continuation }
    }

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        let waiting = state.withLock { state in
            defer {
                state.waiting = nil
                state.onCancel = []
            }
            return state.waiting
        }
        waiting?.resume(returning: result)
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.onCancel.append(body) }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    func cancel() {
        let bodies = state.withLock { state in
            state.isCancelled = true
            defer { state.onCancel = [] }
            return state.onCancel
        }
        for body in bodies { body() }
    }
}
