import Foundation
import Synchronization

/// Ctrl-C cancels what runs, and nothing else. One for the process: it takes the signal from it.
final class Interrupt: @unchecked Sendable {
    private let cancel = Mutex<(@Sendable () -> Void)?>(nil)
    // Safety: set once in `init`; dispatch sources are thread-safe.
    private let source: any DispatchSourceSignal

    struct Cancelled: Error {}

    init() {
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [weak self] in self?.cancel.withLock { $0 }?() }
        source.resume()
    }

    /// - Throws: `Cancelled` when Ctrl-C ended it; else what `body` throws.
    func whileRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        // Awaited here; a task of its own so that it alone is cancelled.
        let task = Task { try await body() }
        cancel.withLock { $0 = { task.cancel() } }
        defer { cancel.withLock { $0 = nil } }
        do { return try await task.value } catch { throw task.isCancelled ? Cancelled() : error }
    }
}
