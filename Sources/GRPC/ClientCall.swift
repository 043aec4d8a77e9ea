import CGRPC
import Synchronization

/// A unary call under way.
///
/// `@unchecked Sendable`: `memory` belongs to `start` until the batch is started, to the C core until it completes, and
/// to `finished` afterwards. The lock keeps `cancel` from using a call that was released.
public final class ClientCall: @unchecked Sendable {
    private enum Progress {
        case new
        case cancelledBeforeStart
        case running(OpaquePointer)
        case over
    }

    private let memory: UnsafeMutablePointer<cgrpc_client_call> = cgrpc_client_call_create()
    private let progress = Mutex(Progress.new)
    /// Set by `start`, cleared by `finished`, which comes after it.
    private var completion: (@Sendable (Result<[UInt8], Status>) -> Void)?

    init() { LiveCalls.add(1) }

    deinit {
        cgrpc_client_call_destroy(memory)
        LiveCalls.add(-1)
    }

    /// Ends the call with `cancelled` unless it is over. The completion still runs.
    public func cancel() {
        progress.withLock { progress in
            switch progress {
            case .new: progress = .cancelledBeforeStart
            case .running(let call): grpc_call_cancel(call, nil)
            case .cancelledBeforeStart, .over: break
            }
        }
    }

    func start(
        on channel: Channel, _ path: String, _ request: [UInt8], _ metadata: Metadata, _ timeout: Duration?,
        _ completion: @escaping @Sendable (Result<[UInt8], Status>) -> Void
    ) {
        if let refusal = memory.prepare(on: channel, path, request, metadata, timeout, isUnary: true) {
            return completion(.failure(refusal))
        }
        self.completion = completion
        let mayStart = progress.withLock { progress in
            guard case .new = progress, let call = memory.pointee.call else { return false }
            progress = .running(call)
            return true
        }
        guard mayStart else { return refuse(Status(.cancelled, "Cancelled")) }
        // Outside the lock, which the completion takes on another thread, often before this returns.
        Tag.arm(&memory.pointee.finished, self) { owner, _ in takeOwner(owner, as: ClientCall.self).finished() }
        guard cgrpc_client_unary(memory) != GRPC_CALL_OK else { return channel.operationBegan() }
        Tag.disarm(&memory.pointee.finished)
        refuse(.cannotStart)
    }

    /// Ends a call that did not start.
    private func refuse(_ status: Status) {
        progress.withLock { $0 = .over }
        memory.releaseCall()
        let completion = completion
        self.completion = nil
        completion?(.failure(status))
    }

    private func finished() {
        progress.withLock { $0 = .over }
        let result: Result<[UInt8], Status>
        if let failure = memory.failure {
            result = .failure(failure)
        } else if let message = memory.pointee.incoming {
            result = .success([UInt8](message: message))
        } else {
            result = .failure(Status(.internalError, "the answer has no message"))
        }
        memory.releaseCall()
        let completion = completion
        self.completion = nil
        completion?(result)
    }
}

extension Status {
    static let cannotStart = Status(.internalError, "the call cannot be started")
}

extension UnsafeMutablePointer<cgrpc_client_call> {
    /// Makes the C core's call and what it is to send.
    /// - Returns: why it cannot be made.
    func prepare(
        on channel: Channel, _ path: String, _ request: [UInt8], _ metadata: Metadata, _ timeout: Duration?, isUnary: Bool
    ) -> Status? {
        if !metadata.isEmpty {
            let (headers, illegalKey) = metadata.copied()
            pointee.headers = headers
            if let illegalKey {
                return Status(.invalidArgument, "the header \(illegalKey) or its value is not allowed")
            }
        }
        guard let call = channel.makeCall(path, timeout: timeout, isUnary: isUnary) else {
            return Status(.unavailable, "the channel is closed")
        }
        pointee.call = call
        pointee.outgoing = request.message()
        return nil
    }

    /// The status of a call that has ended, unless it is OK. Its trailers belong to the call.
    var failure: Status? {
        guard pointee.status != GRPC_STATUS_OK else { return nil }
        let code = Status.Code(rawValue: Int32(clamping: pointee.status.rawValue)) ?? .unknown
        return Status(code, String(slice: &pointee.details), trailers: Metadata(pointee.trailing))
    }

    func releaseCall() {
        guard let call = pointee.call else { return }
        pointee.call = nil
        grpc_call_unref(call)
    }
}
