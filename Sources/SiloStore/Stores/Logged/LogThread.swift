private import Dispatch
private import Glibc
import SiloCore
import Synchronization

/// Runs what blocks, one piece after another in the order given, and not on one of Swift's few threads.
package protocol LogWorker: Sendable {
    /// - Returns: false: it has ended, and `body` never runs.
    @discardableResult
    func run(_ body: @escaping @Sendable () -> Void) -> Bool
    /// Ends when all that was given has run.
    func end()
}

extension LogWorker {
    /// - Returns: nil: the worker has ended.
    @discardableResult
    package func perform<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        let result: Result<Value, Failure>? = await withCheckedContinuation { continuation in
            let runs = run { continuation.resume(returning: Result { () throws(Failure) in try body() }) }
            if !runs { continuation.resume(returning: nil) }
        }
        return try result?.get()
    }
}

/// A thread of its own.
package final class LogThread: LogWorker {
    private struct State {
        var bodies: [@Sendable () -> Void] = []
        var isEnded = false
        /// Nobody is there any more.
        var isGone = false
    }
    private let state = Mutex(State())
    private let signal = DispatchSemaphore(value: 0)

    package init() throws(LogDiskError) {
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LogThread>.fromOpaque(argument).takeRetainedValue().loop()
                return nil
            }, box.toOpaque())
        guard error == 0 else {
            box.release()
            throw .failed("cannot start a thread: \(String(cString: strerror(error)))")
        }
        pthread_detach(thread)
    }

    @discardableResult
    package func run(_ body: @escaping @Sendable () -> Void) -> Bool {
        let runs = state.withLock { state in
            if !state.isGone { state.bodies.append(body) }
            return !state.isGone
        }
        if runs { signal.signal() }
        return runs
    }

    package func end() {
        state.withLock { $0.isEnded = true }
        signal.signal()
    }

    private func loop() {
        // A sync under load takes less. Then answers would only keep the next one waiting.
        let lent = LentThread(after: .microseconds(400))
        defer { lent.end() }
        while true {
            signal.wait()
            let (bodies, isGone) = state.withLock { state in
                defer { state.bodies = [] }
                state.isGone = state.isEnded && state.bodies.isEmpty
                return (state.bodies, state.isGone)
            }
            for body in bodies.dropLast() { lent.lend({ false }, body) }
            // Who waited for the log is answered here, unless more has to be written.
            if let last = bodies.last { lent.lend({ self.state.withLock(\.bodies.isEmpty) }, last) }
            if isGone { return }
        }
    }
}
