import CSlateDB
import Synchronization

/// How a future of one result type is driven (the `ffi_..._rust_future_*` functions of the C interface).
struct RustFuture<Result> {
    let poll: @convention(c) (UInt64, @escaping UniffiRustFutureContinuationCallback, UInt64) -> Void
    let complete: @Sendable (UInt64, UnsafeMutablePointer<RustCallStatus>) -> Result
    let free: @convention(c) (UInt64) -> Void

    /// Drives a future to its end. The first poll runs on the caller's thread: nine times in ten the result is there at
    /// once, and nothing is suspended.
    ///
    /// A cancelled Swift task does not cut the operation off: it runs to its end and its future is freed here, once.
    func run(_ future: UInt64) async throws(StorageError) -> Result {
        defer { free(future) }
        let wake = Wake()
        repeat {
            poll(future, { token, result in Wake.signal(token, result) }, wake.token())
        } while await wake.outcome() != Wake.ready
        var status = RustCallStatus()
        let result = complete(future, &status)
        if let error = StorageError(status) { throw error }
        return result
    }
}

extension RustFuture where Result == UInt64 {
    static var handle: RustFuture {
        RustFuture(
            poll: ffi_slatedb_uniffi_rust_future_poll_u64, complete: ffi_slatedb_uniffi_rust_future_complete_u64,
            free: ffi_slatedb_uniffi_rust_future_free_u64
        )
    }
}

extension RustFuture where Result == RustBuffer {
    static var buffer: RustFuture {
        RustFuture(
            poll: ffi_slatedb_uniffi_rust_future_poll_rust_buffer,
            complete: ffi_slatedb_uniffi_rust_future_complete_rust_buffer,
            free: ffi_slatedb_uniffi_rust_future_free_rust_buffer
        )
    }
}

extension RustFuture where Result == Void {
    static var nothing: RustFuture {
        RustFuture(
            poll: ffi_slatedb_uniffi_rust_future_poll_void, complete: ffi_slatedb_uniffi_rust_future_complete_void,
            free: ffi_slatedb_uniffi_rust_future_free_void
        )
    }
}

/// Meets the answer to a poll, which Rust gives exactly once, at once or later, on any thread.
private final class Wake: Sendable {
    static let ready: Int8 = 0

    private enum State {
        case polled
        case signalled(Int8)
        case waiting(UnsafeContinuation<Int8, Never>)
    }
    private let state = Mutex(State.polled)

    /// What the next poll hands to Rust. Keeps this object alive until the answer.
    func token() -> UInt64 {
        UInt64(UInt(bitPattern: Unmanaged.passRetained(self).toOpaque()))
    }

    static func signal(_ token: UInt64, _ result: Int8) {
        guard let pointer = UnsafeRawPointer(bitPattern: UInt(token)) else { return }
        Unmanaged<Wake>.fromOpaque(pointer).takeRetainedValue().signal(result)
    }

    private func signal(_ result: Int8) {
        let waiting: UnsafeContinuation<Int8, Never>? = state.withLock { state in
            if case .waiting(let continuation) = state {
                state = .polled
                return continuation
            }
            state = .signalled(result)
            return nil
        }
        waiting?.resume(returning: result)
    }

    /// The answer to the last poll.
    func outcome() async -> Int8 {
        if let result = taken() { return result }
        return await withUnsafeContinuation { continuation in
            let result: Int8? = state.withLock { state in
                if case .signalled(let result) = state {
                    state = .polled
                    return result
                }
                state = .waiting(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }

    private func taken() -> Int8? {
        state.withLock { state in
            guard case .signalled(let result) = state else { return nil }
            state = .polled
            return result
        }
    }
}
