import GRPC
import SiloCore
import Synchronization

/// A call that is made within the process, by whoever serves people in another way than by gRPC: the same method, the same
/// checks, the same bounds. It has no headers: who calls is known already.
final class LocalCall: IncomingCall {
    private struct State {
        var waiter: CheckedContinuation<Result<[UInt8], Status>, Never>?
        var onCancel: [@Sendable () -> Void] = []
        var isOver = false
        var isCancelled = false
    }
    private static let cancelled = Status(.cancelled, "nobody waits for the answer any more")

    let peer: String
    let timeRemaining: Duration?
    private let request: [UInt8]
    private let state = Mutex(State())

    private init(_ request: [UInt8], peer: String, within time: Duration) {
        self.request = request
        self.peer = peer
        timeRemaining = time
    }

    /// Calls a method and waits for its answer, or gives up with the task.
    static func call(
        _ handler: @escaping MethodTable.Handler, _ request: [UInt8], as caller: Caller, from peer: String, within time: Duration
    ) async -> Result<[UInt8], Status> {
        let call = LocalCall(request, peer: peer, within: time)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isCancelled = call.state.withLock { state in
                    if !state.isOver { state.waiter = waiter }
                    return state.isOver
                }
                // The task may have been cancelled before it came here.
                if isCancelled { waiter.resume(returning: .failure(cancelled)) } else { handler(call, caller) }
            }
        } onCancel: {
            call.cancel()
        }
    }

    /// As on a real server, one that its handler drops ends with INTERNAL.
    deinit {
        state.withLock { $0.waiter }?.resume(returning: .failure(Status(.internalError, "the handler gave no answer")))
    }

    func header(_ key: String) -> [UInt8]? { nil }

    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try request.withUnsafeBytes(body) }

    func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?) {
        if !end(.success(bytes)) { onUndelivered?() }
    }

    func fail(_ status: Status) { _ = end(.failure(status)) }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if !state.isOver { state.onCancel.append(body) }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    private func cancel() {
        let bodies = state.withLock { state in
            if !state.isOver { state.isCancelled = true }
            return state.onCancel
        }
        guard end(.failure(Self.cancelled)) else { return }
        for body in bodies { body() }
    }

    /// - Returns: whether this was the first answer.
    private func end(_ answer: Result<[UInt8], Status>) -> Bool {
        let (waiter, isFirst) = state.withLock { state in
            defer { (state.waiter, state.onCancel, state.isOver) = (nil, [], true) }
            return (state.waiter, !state.isOver)
        }
        waiter?.resume(returning: answer)
        return isFirst
    }
}
