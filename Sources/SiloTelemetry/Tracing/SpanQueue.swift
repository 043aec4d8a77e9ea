import Synchronization

/// Spans that have ended and wait to be exported. When it is full, new ones are dropped and counted: whoever ends a span never
/// waits.
public final class SpanQueue: Sendable {
    private struct State {
        var spans: [FinishedSpan] = []
        var counts = SpanCounts()
        var isClosed = false
        /// Whoever exports, while there is no whole batch.
        var waiter: CheckedContinuation<Void, Never>?

        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            defer { waiter = nil }
            return waiter
        }
    }
    private let state = Mutex(State())
    private let countMax: Int
    private let batchMax: Int

    /// - Parameters:
    ///   - countMax: spans that may wait.
    ///   - batchMax: spans of one batch.
    public init(countMax: Int, batchMax: Int) {
        self.countMax = max(1, countMax)
        self.batchMax = min(max(1, batchMax), self.countMax)
    }

    func add(_ span: FinishedSpan) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard !state.isClosed, state.spans.count < countMax else {
                state.counts.dropped += 1
                return nil
            }
            state.spans.append(span)
            return state.spans.count >= batchMax ? state.takeWaiter() : nil
        }
        waiter?.resume()
    }

    /// Returns when there is a whole batch, or when its task is cancelled. For one caller at a time.
    package func untilFull() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard state.spans.count < batchMax, !state.isClosed, !Task.isCancelled else { return false }
                    state.waiter = continuation
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.takeWaiter() }?.resume()
        }
    }

    /// The oldest spans, as many as fit into a batch.
    package func take() -> [FinishedSpan] {
        state.withLock { state in
            let batch = Array(state.spans.prefix(batchMax))
            state.spans.removeFirst(batch.count)
            return batch
        }
    }

    /// Takes no more.
    package func close() {
        state.withLock { state in
            state.isClosed = true
            return state.takeWaiter()
        }?.resume()
    }

    package var isClosed: Bool { state.withLock { $0.isClosed } }
    package var hasBatch: Bool { state.withLock { $0.spans.count >= batchMax } }

    /// What became of spans that were taken.
    package func note(exported: Int = 0, failed: Int = 0) {
        state.withLock { state in
            state.counts.exported += UInt64(exported)
            state.counts.failed += UInt64(failed)
        }
    }

    package var counts: SpanCounts {
        state.withLock { state in
            var counts = state.counts
            counts.waiting = state.spans.count
            return counts
        }
    }
}
