import CGRPC
import Synchronization

/// A server-streaming call of a client, behind `ServerStreamingCall`.
///
/// `@unchecked Sendable`: `memory` is written by the C core while a batch is in flight and by us under the lock.
final class StreamState: @unchecked Sendable {
    typealias Receipt = Result<[UInt8]?, Status>

    private struct Progress {
        /// In flight: the request, the status, one message. The call is released after the last.
        var batches = 0
        /// How the call ended. Failure, or nil for OK.
        var outcome: Receipt?
        var receiving: (@Sendable (Receipt) -> Void)?
        /// The stream has no more messages; the reader waits for the status.
        var isAtEnd = false
    }

    private let memory: UnsafeMutablePointer<cgrpc_client_call> = cgrpc_client_call_create()
    private let progress = Mutex(Progress())

    init() { LiveCalls.add(1) }

    deinit {
        cgrpc_client_call_destroy(memory)
        LiveCalls.add(-1)
    }

    func start(on channel: Channel, _ path: String, _ request: [UInt8], _ metadata: Metadata, _ timeout: Duration?) {
        if let refusal = memory.prepare(on: channel, path, request, metadata, timeout, isUnary: false) {
            return progress.withLock { $0.outcome = .failure(refusal) }
        }
        let isStarted = progress.withLock { progress in
            Tag.arm(&memory.pointee.finished, self) { owner, _ in takeOwner(owner, as: StreamState.self).finished() }
            guard cgrpc_client_await_status(memory) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.finished)
                progress.outcome = .failure(.cannotStart)
                return false
            }
            progress.batches += 1
            Tag.arm(&memory.pointee.started, self) { owner, _ in takeOwner(owner, as: StreamState.self).batchEnded() }
            guard cgrpc_client_start(memory) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.started)
                // The status comes, as cancelled.
                if let call = memory.pointee.call { grpc_call_cancel(call, nil) }
                return true
            }
            progress.batches += 1
            return true
        }
        if !isStarted { memory.releaseCall() }
    }

    func cancel() {
        progress.withLock { progress in
            guard progress.outcome == nil, let call = memory.pointee.call else { return }
            grpc_call_cancel(call, nil)
        }
    }

    /// Gives the next message, or how the call ended. One at a time.
    func receive(_ completion: @escaping @Sendable (Receipt) -> Void) {
        let now: Receipt? = progress.withLock { progress in
            if progress.receiving != nil { return .failure(Status(.failedPrecondition, "a message is being read")) }
            if progress.isAtEnd || memory.pointee.call == nil {
                if let outcome = progress.outcome { return outcome }
                progress.receiving = completion
                return nil
            }
            Tag.arm(&memory.pointee.received, self) { owner, ok in takeOwner(owner, as: StreamState.self).received(ok) }
            guard cgrpc_client_receive(memory) == GRPC_CALL_OK else {
                Tag.disarm(&memory.pointee.received)
                return .failure(.cannotStart)
            }
            progress.receiving = completion
            progress.batches += 1
            return nil
        }
        if let now { completion(now) }
    }

    private func received(_ ok: Bool) {
        give { progress in
            defer { cgrpc_message_drop(&memory.pointee.incoming) }
            if ok, let message = memory.pointee.incoming { return .success([UInt8](message: message)) }
            progress.isAtEnd = true
            return progress.outcome
        }
        batchEnded()
    }

    private func finished() {
        give { progress in
            let outcome = memory.failure.map { Receipt.failure($0) } ?? .success(nil)
            progress.outcome = outcome
            // A message may still be on its way to the reader.
            return progress.isAtEnd ? outcome : nil
        }
        batchEnded()
    }

    /// Gives the waiting reader what `body` has for it.
    private func give(_ body: (inout Progress) -> Receipt?) {
        let (reader, receipt) = progress.withLock { progress in
            let receipt = body(&progress)
            guard receipt != nil else { return (nil as (@Sendable (Receipt) -> Void)?, receipt) }
            defer { progress.receiving = nil }
            return (progress.receiving, receipt)
        }
        if let receipt { reader?(receipt) }
    }

    private func batchEnded() {
        let ended: CoreHandle? = progress.withLock { progress in
            progress.batches -= 1
            guard progress.batches == 0, progress.outcome != nil else { return nil }
            // Readers look at the call under the lock, so it is forgotten there.
            defer { memory.pointee.call = nil }
            return memory.pointee.call.map { CoreHandle(pointer: $0) }
        }
        if let ended { grpc_call_unref(ended.pointer) }
    }
}
