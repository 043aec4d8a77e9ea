import Foundation
import Synchronization

/// Ctrl-C cancels what runs, and nothing else. One for the process: it takes the signal from it.
final class Interrupt: @unchecked Sendable {
    private enum State {
        case idle
        /// Pressed after the line was read and before it ran.
        case pressed
        case running(cancel: @Sendable () -> Void)
    }

    private let state = Mutex(State.idle)
    // Safety: set once in `init`; dispatch sources are thread-safe.
    private let source: any DispatchSourceSignal

    struct Cancelled: Error {}

    init() {
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [weak self] in self?.press() }
        source.resume()
    }

    private func press() {
        state.withLock { state in
            if case .running(let cancel) = state { cancel() } else { state = .pressed }
        }
    }

    /// Before a line is read: what was pressed till then was meant for what is over.
    func forget() { state.withLock { $0 = .idle } }

    /// - Throws: `Cancelled` when Ctrl-C ended it; else what `body` throws.
    func whileRunning(_ body: @escaping @MainActor @Sendable () async throws -> Void) async throws {
        // Awaited here; a task of its own so that it alone is cancelled.
        let task = Task { try await body() }
        defer { forget() }
        state.withLock { state in
            if case .pressed = state { task.cancel() }
            state = .running { task.cancel() }
        }
        do { try await task.value } catch { throw task.isCancelled ? Cancelled() : error }
    }
}
